//! The events that this service publishes.

use frontdesk_db::Tx;
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1::{AgentCreated, AgentDeactivated, AgentUpdated};
use sea_orm::DbErr;

use crate::{
    NAME,
    domain::{Agent, AgentEvent},
};

/// Appends an event of the agent to the outbox.
pub(crate) async fn append_agent_event(tx: &mut Tx, agent: &Agent, event: AgentEvent) -> Result<(), DbErr> {
    let aggregate =
        Aggregate { source: NAME, account: agent.account, kind: "agent", id: agent.id, version: agent.version };
    let agent_id = agent.id.to_string();
    match event {
        AgentEvent::Created => append(tx, aggregate, &AgentCreated { agent_id }).await,
        AgentEvent::Updated => append(tx, aggregate, &AgentUpdated { agent_id }).await,
        AgentEvent::Deactivated => append(tx, aggregate, &AgentDeactivated { agent_id }).await,
    }
}
