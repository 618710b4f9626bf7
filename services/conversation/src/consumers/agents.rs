//! Keeps the local copy of agents: their names, and whether they are active.

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{AgentCreated, AgentDeactivated, AgentReactivated, AgentUpdated, Event};
use prost::Name;
use sea_orm::DbErr;

use super::not_answered;
use crate::{App, assignment, domain::Agent, store::agents};

pub(crate) struct Agents(pub(crate) App);

impl Agents {
    async fn save(&self, agent: Agent) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        agents::save(&tx, agent).await?;
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for Agents {
    fn name(&self) -> &'static str {
        "conversation.agents"
    }

    fn source(&self) -> &'static str {
        "assignment"
    }

    fn types(&self) -> Vec<String> {
        vec![
            AgentCreated::full_name(),
            AgentUpdated::full_name(),
            AgentDeactivated::full_name(),
            AgentReactivated::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let ids = account_id(event).and_then(|account| Ok((account, uuid("aggregate_id", &event.aggregate_id)?)));
        let (account, id) = match ids {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match assignment::get_agent(&self.0, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(agent) => self.save(agent).await.into(),
            Err(status) => not_answered(&status),
        }
    }
}
