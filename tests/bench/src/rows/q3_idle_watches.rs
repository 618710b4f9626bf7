//! Q3: memory and processor time of watches that are idle. The baseline is the limit for each.

use std::time::{Duration, Instant};

use frontdesk_bench::{
    messages::{CONVERSATIONS, watch_request},
    raw::{Connection, Watch},
};
use frontdesk_proto::conversation::v1::{ListConversationsRequest, WatchInboxRequest};
use prost::{Message, bytes::Bytes};
use tonic::Status;

use super::{Plan, p3_fan_out::last_sequence, print_round};
use crate::{
    deployment::Deployment,
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
    [
        measure(deployment, plan, "Q3_thread", "an idle watch of a thread; the limit", thread).await,
        measure(deployment, plan, "Q3_inbox", "an idle watch of the inbox; the limit", inbox).await,
    ]
}

async fn measure(
    deployment: &Deployment,
    plan: Plan,
    name: &'static str,
    what: &'static str,
    open: impl AsyncFn(Connection, usize) -> Result<Watch, Status>,
) -> Row {
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let (mut watches, mut memory, mut opened) = (Vec::new(), [0.0; 2], 0);
        for (stage, count) in WATCHES.into_iter().enumerate() {
            for _ in 0..count / OF_A_CONNECTION {
                let client = deployment.client_of(deployment.address(), 1).await;
                for _ in 0..OF_A_CONNECTION {
                    watches.push(open(client.connection(0), opened).await.unwrap());
                    opened += 1;
                }
            }
            tokio::time::sleep(SETTLE).await;
            memory[stage] = resident_kib(deployment.pid());
        }
        let (began, before) = (Instant::now(), processor_seconds(deployment.pid()));
        tokio::time::sleep(plan.length).await;
        let used = (processor_seconds(deployment.pid()) - before) / began.elapsed().as_secs_f64();
        let value = (memory[1] - memory[0]) / WATCHES[1] as f64;
        let round = Round { value, baseline: LIMIT, more: vec![("percent_of_a_core", used * 100.0)] };
        print_round(name, number, &round);
        rounds.push(round);
        drop(watches);
        tokio::time::sleep(SETTLE).await;
    }
    Row { name, what, unit: "KiB", goal: Goal::AtMost(1.0), rounds }
}

/// Processor time that a process has used.
fn processor_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may contain spaces: user and system time are the 14th and 15th field, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
