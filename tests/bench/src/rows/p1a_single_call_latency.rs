//! P1a: latency of one message at a time. Baseline: pgbench with one client.

use super::{Plan, print_round};
use crate::{
    deployment::Deployment,
    load,
    pgbench::Pgbench,
    report::{Goal, Round, Row},
};

/// Measures the row.
pub async fn run(deployment: &Deployment, plan: Plan) -> Row {
    let (client, pgbench) = (deployment.client().await, Pgbench::new());
    let mut database = deployment.database().await;
    pgbench.latencies(&deployment.postgres, plan.warm_up).await;
    load::closed_loop(&client, &deployment.messages, 1, plan.warm_up).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        deployment.drain_outbox(&mut database).await;
        let baseline = pgbench.latencies(&deployment.postgres, plan.length).await;
        let value = load::closed_loop(&client, &deployment.messages, 1, plan.length).await;
        let round = Round {
            value: value.latency(500),
            baseline: baseline.latency(500),
            more: vec![("p99_ms", value.latency(990)), ("baseline_p99_ms", baseline.latency(990))],
        };
        print_round("P1a", number, &round);
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
