//! The events that this service publishes: one function for each.

use frontdesk_db::Tx;
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1::{AgentCreated, AgentDeactivated, AgentReactivated, AgentUpdated, OpeningHoursChanged};
use sea_orm::DbErr;

use crate::{
    NAME,
    domain::{Agent, OpeningHours},
};

pub(crate) async fn append_agent_created(tx: &mut Tx, agent: &Agent) -> Result<(), DbErr> {
    append(tx, aggregate(agent), &AgentCreated { agent_id: agent.id.to_string() }).await
}

pub(crate) async fn append_agent_updated(tx: &mut Tx, agent: &Agent) -> Result<(), DbErr> {
    append(tx, aggregate(agent), &AgentUpdated { agent_id: agent.id.to_string() }).await
}

pub(crate) async fn append_agent_deactivated(tx: &mut Tx, agent: &Agent) -> Result<(), DbErr> {
    append(tx, aggregate(agent), &AgentDeactivated { agent_id: agent.id.to_string() }).await
}

pub(crate) async fn append_agent_reactivated(tx: &mut Tx, agent: &Agent) -> Result<(), DbErr> {
    append(tx, aggregate(agent), &AgentReactivated { agent_id: agent.id.to_string() }).await
}

/// Appends the change of opening hours: their creation, an edit, their deletion or its undo.
pub(crate) async fn append_opening_hours_changed(tx: &mut Tx, hours: &OpeningHours) -> Result<(), DbErr> {
    let OpeningHours { account, id, version, .. } = *hours;
    let aggregate = Aggregate { source: NAME, account, kind: "opening_hours", id, version };
    append(tx, aggregate, &OpeningHoursChanged { opening_hours_id: id.to_string() }).await
}

fn aggregate(agent: &Agent) -> Aggregate {
    Aggregate { source: NAME, account: agent.account, kind: "agent", id: agent.id, version: agent.version }
}
