//! P1: messages by gRPC on PostgreSQL and the bus, the outbox drained, beside pgbench doing the same rows.

use std::time::{Duration, Instant};

use sea_orm::sqlx::PgConnection;

use super::{Plan, done};
use crate::{
    load,
    pgbench::Pgbench,
    raw::Client,
    report::{Goal, Round, Row},
    servers::Suite,
};

/// What is measured: with so many in flight.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// The row's name.
    pub name: &'static str,
    /// So many.
    pub number: usize,
    /// Of the ratio.
    pub goal: f64,
}

/// 64.
pub const P1: InFlight = InFlight { name: "P1", number: 64, goal: 1.0 };
/// 256.
pub const P1_256: InFlight = InFlight { name: "P1_256", number: 256, goal: 1.3 };

/// Measures the asked ones beside one and the same pgbench.
pub async fn run(suite: &Suite, plan: Plan, asked: &[InFlight]) -> Vec<Row> {
    let (client, pgbench, mut database) = (suite.client().await, Pgbench::new(), suite.database().await);
    pgbench.rate(&suite.postgres, 32, plan.warm_up).await;
    for in_flight in asked {
        rate(suite, &client, &mut database, in_flight.number, plan.warm_up).await;
    }
    let mut rows: Vec<Row> = asked
        .iter()
        .map(|in_flight| Row {
            name: in_flight.name,
            what: if in_flight.number == P1.number {
                "PostMessage, 64 in flight, until the outbox is drained; pgbench, 32 clients"
            } else {
                "PostMessage, 256 in flight, until the outbox is drained; pgbench, 32 clients"
            },
            unit: "messages/s",
            goal: Goal::AtLeast(in_flight.goal),
            rounds: Vec::new(),
        })
        .collect();
    for number in 0..plan.rounds {
        let limit = pgbench.rate(&suite.postgres, 32, plan.length).await;
        for (in_flight, row) in asked.iter().zip(&mut rows) {
            let mut round = rate(suite, &client, &mut database, in_flight.number, plan.length).await;
            round.limit = limit;
            done(row.name, number, &round);
            row.rounds.push(round);
        }
    }
    suite.assert_dense().await;
    rows
}

/// Messages per second with so many in flight, the draining of the outbox included; the limit is still to be filled in.
async fn rate(
    suite: &Suite,
    client: &Client,
    database: &mut PgConnection,
    in_flight: usize,
    length: Duration,
) -> Round {
    let began = Instant::now();
    let seen = load::closed(client, &suite.messages, in_flight, length).await;
    let drain = suite.drained(database).await;
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

/// Messages per second with 64 in flight, for rows that go by it.
pub async fn rate_now(suite: &Suite, plan: Plan) -> f64 {
    let (client, mut database) = (suite.client().await, suite.database().await);
    rate(suite, &client, &mut database, P1.number, plan.warm_up).await;
    rate(suite, &client, &mut database, P1.number, plan.length).await.value
}
