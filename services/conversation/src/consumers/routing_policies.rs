//! Keeps the local copy of routing policies, by which a channel says that one that it names was deleted (rule A4).

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{Event, RoutingPolicyChanged};
use prost::Name;
use sea_orm::DbErr;

use super::not_answered;
use crate::{App, assignment, domain::RoutingPolicy, store::routing_policies};

pub(crate) struct RoutingPolicies(pub(crate) App);

impl RoutingPolicies {
    async fn save(&self, policy: RoutingPolicy) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        routing_policies::save(&tx, policy).await?;
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for RoutingPolicies {
    fn name(&self) -> &'static str {
        "conversation.routing_policies"
    }

    fn source(&self) -> &'static str {
        "assignment"
    }

    fn types(&self) -> Vec<String> {
        vec![RoutingPolicyChanged::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let ids = account_id(event).and_then(|account| Ok((account, uuid("aggregate_id", &event.aggregate_id)?)));
        let (account, id) = match ids {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match assignment::get_routing_policy(&self.0, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(policy) => self.save(policy).await.into(),
            Err(status) => not_answered(&status),
        }
    }
}
