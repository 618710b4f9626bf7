//! P2: posted messages per second on SQLite. Baseline: rusqlite, 32 messages in one transaction.

use std::time::{Duration, Instant};

use frontdesk_bench::raw::Client;

use super::{Plan, print_round};
use crate::{
    embedded::Embedded,
    load,
    process::Binary,
    report::{Goal, Round, Row},
};

/// Measures the row.
pub async fn run(plan: Plan) -> Row {
    let deployment = Embedded::start(Binary::beside_this_program()).await;
    let client = deployment.client().await;
    deployment.baseline_rate(plan.warm_up).await;
    rate(&deployment, &client, plan.warm_up).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = deployment.baseline_rate(plan.length).await;
        let round = Round { baseline, ..rate(&deployment, &client, plan.length).await };
        print_round("P2", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P2",
        what: "PostMessage on SQLite, 64 in flight, until the outbox is drained; rusqlite, 32 a transaction, FULL",
        unit: "messages/s",
        goal: Goal::AtLeast(0.8),
        rounds,
    }
}

/// Posts messages for `length` with 64 calls in flight. The value is messages per second, including the time until the outbox is
/// drained; the baseline is not set.
pub async fn rate(deployment: &Embedded, client: &Client, length: Duration) -> Round {
    let began = Instant::now();
    let result = load::closed_loop(client, &deployment.messages, 64, length).await;
    let drain = deployment.drain_outbox().await;
    Round {
        value: result.calls() / began.elapsed().as_secs_f64(),
        baseline: f64::NAN,
        more: vec![
            ("until_last_response", result.rate()),
            ("drain_seconds", drain.as_secs_f64()),
            ("p50_ms", result.latency(500)),
            ("p99_ms", result.latency(990)),
        ],
    }
}
