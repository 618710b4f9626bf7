//! P1: posted messages per second on PostgreSQL and the bus, until the outbox is drained. Baseline: pgbench changes the same
//! rows.

use std::time::{Duration, Instant};

use frontdesk_bench::raw::Client;
use sea_orm::sqlx::{self, PgConnection};

use super::{Plan, print_round};
use crate::{
    deployment::Deployment,
    load,
    pgbench::Pgbench,
    report::{Goal, Round, Row},
};

/// A row with its number of calls in flight.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Name of the row.
    pub name: &'static str,
    /// Number of calls in flight.
    pub number: usize,
    /// Goal of the ratio.
    pub goal: f64,
}

/// P1 with 64 calls in flight.
pub const P1: InFlight = InFlight { name: "P1", number: 64, goal: 1.0 };
/// P1 with 256 calls in flight.
pub const P1_256: InFlight = InFlight { name: "P1_256", number: 256, goal: 1.3 };

/// Measures the selected rows with a common baseline.
pub async fn run(deployment: &Deployment, plan: Plan, selected: &[InFlight]) -> Vec<Row> {
    let (client, pgbench, mut database) = (deployment.client().await, Pgbench::new(), deployment.database().await);
    pgbench.rate(&deployment.postgres, 32, plan.warm_up).await;
    for in_flight in selected {
        rate(deployment, &client, &mut database, in_flight.number, plan.warm_up).await;
    }
    let mut rows: Vec<Row> = selected
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
        let baseline = pgbench.rate(&deployment.postgres, 32, plan.length).await;
        for (in_flight, row) in selected.iter().zip(&mut rows) {
            let mut round = rate(deployment, &client, &mut database, in_flight.number, plan.length).await;
            round.baseline = baseline;
            print_round(row.name, number, &round);
            row.rounds.push(round);
        }
    }
    deployment.assert_no_gaps().await;
    rows
}

/// Posts messages for `length` with this number of calls in flight. The value is messages per second, including the time until
/// the outbox is drained; the baseline is not set.
pub async fn rate(
    deployment: &Deployment,
    client: &Client,
    database: &mut PgConnection,
    in_flight: usize,
    length: Duration,
) -> Round {
    let (began, wal_before) = (Instant::now(), wal_bytes(database).await);
    let result = load::closed_loop(client, &deployment.messages, in_flight, length).await;
    let drain = deployment.drain_outbox(database).await;
    Round {
        value: result.calls() / began.elapsed().as_secs_f64(),
        baseline: f64::NAN,
        more: vec![
            ("until_last_response", result.rate()),
            ("drain_seconds", drain.as_secs_f64()),
            ("wal_bytes_per_message", (wal_bytes(database).await - wal_before) / result.calls()),
            ("p50_ms", result.latency(500)),
            ("p99_ms", result.latency(990)),
        ],
    }
}

/// Number of bytes that the server has written to its write-ahead log.
async fn wal_bytes(database: &mut PgConnection) -> f64 {
    let position = sqlx::query_scalar("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8");
    position.fetch_one(database).await.unwrap()
}

/// Messages per second with 64 calls in flight, for the rows whose rate depends on it.
pub async fn current_rate(deployment: &Deployment, plan: Plan) -> f64 {
    let (client, mut database) = (deployment.client().await, deployment.database().await);
    rate(deployment, &client, &mut database, P1.number, plan.warm_up).await;
    rate(deployment, &client, &mut database, P1.number, plan.length).await.value
}
