//! Q4: what growth costs. `Q4_replicas` is P1 with the calls spread over two replicas; its baseline is P1 with one. `Q4_entries` is P1
//! beside ten million entries of other conversations; its baseline is P1 before they are stored.

use super::{
    Plan,
    p1_post_message::{P1, rate},
    print_round,
};
use crate::{
    deployment::Deployment,
    fixture,
    report::{Goal, Round, Row},
};

/// Number of conversations that are stored beside those that are posted to.
const STORED_CONVERSATIONS: u32 = 100_000;
/// Number of entries of each of them.
const STORED_ENTRIES: u32 = 100;

/// Measures P1 with one and with two replicas.
pub async fn run_replicas(deployment: &mut Deployment, plan: Plan) -> Row {
    deployment.second_replica().await;
    let (one, two) = (deployment.client().await, deployment.client_of_all().await);
    let mut database = deployment.database().await;
    for client in [&one, &two] {
        rate(deployment, client, &mut database, P1.number, plan.warm_up).await;
    }
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = rate(deployment, &one, &mut database, P1.number, plan.length).await.value;
        let round = Round { baseline, ..rate(deployment, &two, &mut database, P1.number, plan.length).await };
        print_round("Q4_replicas", number, &round);
        rounds.push(round);
    }
    let what = "PostMessage, 64 in flight, two replicas; one replica on the same cores";
    Row { name: "Q4_replicas", what, unit: "messages/s", goal: Goal::AtLeast(0.8), rounds }
}

/// Measures P1 before and after entries are stored.
pub async fn run_entries(deployment: &Deployment, plan: Plan) -> Row {
    let (client, mut database) = (deployment.client().await, deployment.database().await);
    rate(deployment, &client, &mut database, P1.number, plan.warm_up).await;
    let mut baselines = Vec::new();
    for _ in 0..plan.rounds {
        baselines.push(rate(deployment, &client, &mut database, P1.number, plan.length).await.value);
    }
    for statement in fixture::stored_conversations(STORED_CONVERSATIONS, STORED_ENTRIES) {
        deployment.execute(&statement).await;
    }
    rate(deployment, &client, &mut database, P1.number, plan.warm_up).await;
    let mut rounds = Vec::new();
    for (number, baseline) in baselines.into_iter().enumerate() {
        let round = Round { baseline, ..rate(deployment, &client, &mut database, P1.number, plan.length).await };
        print_round("Q4_entries", number, &round);
        rounds.push(round);
    }
    let what = "PostMessage, 64 in flight, beside 10,000,000 entries; before they are stored";
    Row { name: "Q4_entries", what, unit: "messages/s", goal: Goal::AtLeast(0.8), rounds }
}
