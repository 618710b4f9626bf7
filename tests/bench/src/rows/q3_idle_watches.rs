//! Q3: memory and processor time of watches that are idle. The baseline is the limit for each.

use std::time::{Duration, Instant};

use frontdesk_bench::{
    messages::{CONVERSATIONS, watch_request},
    raw::{Connection, Watch},
};
use frontdesk_proto::conversation::v1::{ListConversationsRequest, WatchChatRequest, WatchInboxRequest};
use prost::{Message, bytes::Bytes};
use sea_orm::sqlx;
use tonic::Status;

use super::{Plan, p3_fan_out::last_sequence, print_round};
use crate::{
    deployment::Deployment,
    fixture,
    memory::resident_kib,
    report::{Goal, Round, Row},
};

/// Number of watches that are opened before memory is read, so that what all share is not counted, and after.
const WATCHES: [usize; 2] = [500, 5_000];
/// Number of watches of one connection.
const OF_A_CONNECTION: usize = 100;
/// Memory that a watch may use, in KiB.
const LIMIT: f64 = 32.0;
/// How long the watches are open before they count as idle: they have read what there was, and their first heartbeat is due later.
const SETTLE: Duration = Duration::from_secs(3);
/// Number of widgets, each with a chat of its own, that are opened before memory is read, and after.
const WIDGETS: [usize; 2] = [500, 9_500];
/// Processor time that all widgets may use, in percent of a core.
const WIDGETS_PROCESSOR: f64 = 2.0;
/// Name of the figure of the processor time that all watches use.
const PROCESSOR: &str = "percent_of_a_core";
/// The interval in which the service looks for changes whose notification was lost.
const LOOK: Duration = Duration::from_secs(10);

/// Which watches are measured, and how.
struct Idle {
    name: &'static str,
    what: &'static str,
    /// Numbers of watches, as [`WATCHES`].
    watches: [usize; 2],
    settle: Duration,
    length: Duration,
}

/// Measures watches of threads and of the inbox.
pub async fn run(deployment: &Deployment, plan: Plan) -> [Row; 2] {
    let mut after = Vec::new();
    for conversation in 0..CONVERSATIONS {
        after.push(last_sequence(deployment, conversation).await);
    }
    let thread = async |mut connection: Connection, number: usize| {
        let conversation = number as u64 % CONVERSATIONS;
        connection.watch(watch_request(conversation, after[number % after.len()])).await
    };
    let inbox: Bytes = WatchInboxRequest { inbox: Some(ListConversationsRequest::default()), cursor: String::new() }
        .encode_to_vec()
        .into();
    let inbox = async |connection: Connection, _: usize| connection.watch_inbox(inbox.clone()).await;
    let idle = |name, what| Idle { name, what, watches: WATCHES, settle: SETTLE, length: plan.length };
    [
        measure(deployment, plan, idle("Q3_thread", "an idle watch of a thread; the limit"), thread).await,
        measure(deployment, plan, idle("Q3_inbox", "an idle watch of the inbox; the limit"), inbox).await,
    ]
}

/// Measures 10,000 idle widgets: the memory of each, and the processor time of all. Beside it are the transactions of the database in
/// each interval of the look for lost notifications, which reads the widgets' conversations with one statement, and as many without
/// widgets.
pub async fn widgets(deployment: &Deployment, plan: Plan) -> [Row; 2] {
    let count = WIDGETS[0] + WIDGETS[1];
    deployment.execute(&fixture::widgets(count)).await;
    deployment.mark_indexed().await;
    let visitors: Vec<String> = (0..count).map(|number| deployment.visitor(&fixture::widget_visitor(number))).collect();
    let open = async |connection: Connection, number: usize| {
        let request = WatchChatRequest { chat_id: fixture::widget_chat(number), after_visitor_sequence: 0 };
        connection.watch_chat(request.encode_to_vec().into(), &visitors[number]).await
    };
    // The first look after the opening reads each of them.
    let (settle, length) = (LOOK + SETTLE, plan.length.max(2 * LOOK));
    let before = transactions(deployment).await;
    tokio::time::sleep(length).await;
    let without = (transactions(deployment).await - before) / length.div_duration_f64(LOOK);
    let what = "an idle widget, of 10,000; the limit";
    let mut memory =
        measure(deployment, plan, Idle { name: "Q3_chat", what, watches: WIDGETS, settle, length }, open).await;
    let mut processor = Vec::new();
    for round in &mut memory.rounds {
        let used = round.more.iter().find(|(name, _)| *name == PROCESSOR).unwrap().1;
        processor.push(Round { value: used, baseline: WIDGETS_PROCESSOR, more: Vec::new() });
        round.more.push(("transactions_without_widgets", without));
    }
    let what = "10,000 idle widgets; the limit";
    let unit = "% of a core";
    [memory, Row { name: "Q3_chat_processor", what, unit, goal: Goal::AtMost(1.0), rounds: processor }]
}

async fn measure(
    deployment: &Deployment,
    plan: Plan,
    idle: Idle,
    open: impl AsyncFn(Connection, usize) -> Result<Watch, Status>,
) -> Row {
    let Idle { name, what, watches: counts, settle, length } = idle;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let (mut watches, mut memory, mut opened) = (Vec::new(), [0.0; 2], 0);
        for (stage, count) in counts.into_iter().enumerate() {
            for _ in 0..count / OF_A_CONNECTION {
                let client = deployment.client_of(deployment.address(), 1).await;
                for _ in 0..OF_A_CONNECTION {
                    watches.push(open(client.connection(0), opened).await.unwrap());
                    opened += 1;
                }
            }
            tokio::time::sleep(settle).await;
            memory[stage] = resident_kib(deployment.pid());
        }
        let committed = transactions(deployment).await;
        let (began, before) = (Instant::now(), processor_seconds(deployment.pid()));
        tokio::time::sleep(length).await;
        let used = (processor_seconds(deployment.pid()) - before) / began.elapsed().as_secs_f64();
        let committed = (transactions(deployment).await - committed) / length.div_duration_f64(LOOK);
        let value = (memory[1] - memory[0]) / counts[1] as f64;
        let more = vec![(PROCESSOR, used * 100.0), ("transactions_per_interval", committed)];
        let round = Round { value, baseline: LIMIT, more };
        print_round(name, number, &round);
        rounds.push(round);
        drop(watches);
        tokio::time::sleep(SETTLE).await;
    }
    Row { name, what, unit: "KiB", goal: Goal::AtMost(1.0), rounds }
}

/// Number of transactions of the conversation database. A statement alone is one.
async fn transactions(deployment: &Deployment) -> f64 {
    let mut database = deployment.database().await;
    let count = "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar::<_, f64>(count).fetch_one(&mut database).await.unwrap()
}

/// Processor time that a process has used.
fn processor_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may contain spaces: user and system time are the 14th and 15th field, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
