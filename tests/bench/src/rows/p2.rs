//! P2: messages by gRPC on SQLite, beside a bare writer that commits 32 messages at once.

use std::time::{Duration, Instant};

use super::{Plan, done};
use crate::{
    load,
    raw::Client,
    report::{Goal, Round, Row},
    sqlite::Embedded,
};

/// Measures.
pub async fn run(plan: Plan) -> Row {
    let suite = Embedded::start().await;
    let client = suite.client().await;
    suite.bare_rate(plan.warm_up).await;
    rate(&suite, &client, plan.warm_up).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let limit = suite.bare_rate(plan.length).await;
        let round = Round { limit, ..rate(&suite, &client, plan.length).await };
        done("P2", number, &round);
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

async fn rate(suite: &Embedded, client: &Client, length: Duration) -> Round {
    let began = Instant::now();
    let seen = load::closed(client, &suite.messages, 64, length).await;
    let drain = suite.drained().await;
    Round {
        value: seen.calls() / began.elapsed().as_secs_f64(),
        limit: f64::NAN,
        more: vec![
            ("until_last_answer", seen.rate()),
            ("drain_seconds", drain.as_secs_f64()),
            ("p50_ms", seen.latency(500)),
            ("p99_ms", seen.latency(990)),
        ],
    }
}
