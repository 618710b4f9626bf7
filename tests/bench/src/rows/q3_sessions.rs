//! Q3_sessions: memory of the bot-session process for each open session. The baseline is the limit.

use std::time::Duration;

use super::{
    Plan,
    p5_timeouts::{Databases, HOUR, now},
    print_round,
};
use crate::{
    deployment::Deployment,
    fixture::BotSessions,
    memory::resident_kib,
    report::{Goal, Round, Row},
};

/// Memory that an open session may use, in bytes.
const LIMIT: f64 = 100.0;
/// Number of the first session: no other row has sessions with such numbers.
const FIRST: u32 = 500_000_000;
/// How long a process runs before its memory is read: it has searched the sessions several times.
const SETTLE: Duration = Duration::from_secs(5);

/// Compares a process that has started beside this number of open sessions with one that has started without them.
pub async fn run(deployment: &mut Deployment, plan: Plan, sessions: u32) -> Row {
    let (conversation, bot_session) = (deployment.database_of("conversation"), deployment.database_of("bot_session"));
    let mut databases = Databases::connect(deployment, &conversation, &bot_session).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let without = memory_of_new_process(deployment).await;
        let open =
            BotSessions { first: FIRST, count: sessions, deadline: now() + 24 * HOUR, interval: 0, pushed_back: 0 };
        databases.insert(open).await;
        databases.analyze().await;
        let with = memory_of_new_process(deployment).await;
        databases.delete(open).await;
        let value = ((with - without) * 1024.0 / f64::from(sessions)).max(0.0);
        let more = vec![("without_mib", without / 1024.0), ("with_mib", with / 1024.0)];
        let round = Round { value, baseline: LIMIT, more };
        print_round("Q3_sessions", number, &round);
        rounds.push(round);
    }
    let what = "memory of the bot-session process for an open session; the limit";
    Row { name: "Q3_sessions", what, unit: "bytes", goal: Goal::AtMost(1.0), rounds }
}

/// Resident memory in KiB of a bot-session process that has just started.
async fn memory_of_new_process(deployment: &mut Deployment) -> f64 {
    deployment.restart_bot_session().await;
    tokio::time::sleep(SETTLE).await;
    resident_kib(deployment.bot_session_pid())
}
