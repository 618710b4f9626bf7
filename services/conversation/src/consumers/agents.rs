//! Agents: their names, and whether they are active.

use frontdesk_bus::{Consumer, Outcome};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{Agent, GetAgentRequest, roster_service_client::RosterServiceClient},
    event::v1::{AgentCreated, AgentDeactivated, AgentUpdated, Event},
};
use prost::Name;

use super::{account, unanswered};
use crate::{
    App,
    error::ConversationError,
    store::{entity::agents::Model, names},
};

/// Keeps what the roster says of agents.
pub(crate) struct Agents(pub App);

/// What this service keeps of an agent, as the roster tells it.
pub(crate) fn known_agent(account: AccountId, agent: &Agent) -> Option<Model> {
    Some(Model {
        account_id: account,
        id: agent.id.parse().ok()?,
        name: agent.name.clone(),
        active: agent.active,
        version: agent.etag.parse().ok()?,
    })
}

impl Agents {
    async fn keep(&self, account: AccountId, agent: &Agent) -> Result<(), ConversationError> {
        let Some(known) = known_agent(account, agent) else { return Ok(()) };
        let tx = self.0.db.begin().await?;
        names::keep_agent(&tx, known).await?;
        Ok(tx.commit().await?)
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
        vec![AgentCreated::full_name(), AgentUpdated::full_name(), AgentDeactivated::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let account = match account(event) {
            Ok(account) => account,
            Err(outcome) => return outcome,
        };
        let mut roster = RosterServiceClient::new(self.0.assignment.for_account(account));
        match roster.get_agent(GetAgentRequest { agent_id: event.aggregate_id.clone() }).await {
            // The version decides, so that a repeat or an older answer changes nothing.
            Ok(answer) => match answer.into_inner().agent {
                Some(agent) => self.keep(account, &agent).await.into(),
                None => Outcome::DeadLetter("the answer holds no agent".into()),
            },
            Err(status) => unanswered(&status),
        }
    }
}
