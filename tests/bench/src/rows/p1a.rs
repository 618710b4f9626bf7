//! P1a: one message at a time, beside pgbench with one client.

use super::{Plan, done};
use crate::{
    load,
    pgbench::Pgbench,
    report::{Goal, Round, Row},
    servers::Suite,
};

/// Measures.
pub async fn run(suite: &Suite, plan: Plan) -> Row {
    let (client, pgbench) = (suite.client().await, Pgbench::new());
    let mut database = suite.database().await;
    pgbench.alone(&suite.postgres, plan.warm_up).await;
    load::closed(&client, &suite.messages, 1, plan.warm_up).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        suite.drained(&mut database).await;
        let limit = pgbench.alone(&suite.postgres, plan.length).await;
        let value = load::closed(&client, &suite.messages, 1, plan.length).await;
        let round = Round {
            value: value.latency(500),
            limit: limit.latency(500),
            more: vec![("p99_ms", value.latency(990)), ("limit_p99_ms", limit.latency(990))],
        };
        done("P1a", number, &round);
        rounds.push(round);
    }
    Row {
        name: "P1a",
        what: "PostMessage, one in flight, p50; pgbench, 1 client, p50",
        unit: "ms",
        goal: Goal::AtMost(2.5),
        rounds,
    }
}
