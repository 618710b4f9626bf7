//! The events that this service publishes: one function for each.

use std::collections::BTreeSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::{
    assignment::v1 as pb,
    event::v1::{
        AgentAvailabilityChanged, AgentCreated, AgentDeactivated, AgentReactivated, AgentUpdated,
        ContactErasureConfirmed, ConversationQueueChanged, OpeningHoursChanged, RoutingPolicyChanged, TeamCreated,
        TeamDeleted, TeamMembersChanged, TeamUndeleted, TeamUpdated,
    },
};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    NAME,
    domain::{Agent, AgentStatus, OpeningHours, Queued, RoutingPolicy, Team},
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

/// Appends the only event that this service has of a job.
pub(crate) async fn append_contact_erasure_confirmed(
    tx: &mut Tx,
    account: AccountId,
    contact: Uuid,
    job: Uuid,
) -> Result<(), DbErr> {
    let aggregate = Aggregate { source: NAME, account, kind: "contact_job", id: job, version: 1 };
    let confirmed = ContactErasureConfirmed { contact_id: contact.to_string(), contact_job_id: job.to_string() };
    append(tx, aggregate, &confirmed).await
}

/// Appends the change of a routing policy: its creation, an edit, its deletion or its undo.
pub(crate) async fn append_routing_policy_changed(tx: &mut Tx, policy: &RoutingPolicy) -> Result<(), DbErr> {
    let RoutingPolicy { account, id, version, .. } = *policy;
    let aggregate = Aggregate { source: NAME, account, kind: "routing_policy", id, version };
    append(tx, aggregate, &RoutingPolicyChanged { routing_policy_id: id.to_string() }).await
}

/// Appends how the conversation waits in its queue, or that it does not any more.
pub(crate) async fn append_conversation_queue_changed(
    tx: &mut Tx,
    account: AccountId,
    conversation: Uuid,
    version: i64,
    queued: &Queued,
) -> Result<(), DbErr> {
    let changed = ConversationQueueChanged {
        conversation_id: conversation.to_string(),
        epoch: i32::try_from(queued.epoch).unwrap_or(i32::MAX),
        waiting: queued.waiting,
        team_ids: queued.teams.iter().map(Uuid::to_string).collect(),
    };
    // The conversation's own id is that of its events, which have versions of their own.
    let id = Uuid::new_v5(&conversation, b"queue");
    append(tx, Aggregate { source: NAME, account, kind: "conversation_queue", id, version }, &changed).await
}

fn aggregate(agent: &Agent) -> Aggregate {
    Aggregate { source: NAME, account: agent.account, kind: "agent", id: agent.id, version: agent.version }
}

pub(crate) async fn append_team_created(tx: &mut Tx, team: &Team) -> Result<(), DbErr> {
    append(tx, team_aggregate(team), &TeamCreated { team_id: team.id.to_string() }).await
}

pub(crate) async fn append_team_updated(tx: &mut Tx, team: &Team) -> Result<(), DbErr> {
    append(tx, team_aggregate(team), &TeamUpdated { team_id: team.id.to_string() }).await
}

pub(crate) async fn append_team_members_changed(
    tx: &mut Tx,
    team: &Team,
    added: &BTreeSet<Uuid>,
    removed: &BTreeSet<Uuid>,
) -> Result<(), DbErr> {
    let ids = |agents: &BTreeSet<Uuid>| agents.iter().map(Uuid::to_string).collect();
    let changed = TeamMembersChanged {
        team_id: team.id.to_string(),
        added_agent_ids: ids(added),
        removed_agent_ids: ids(removed),
    };
    append(tx, team_aggregate(team), &changed).await
}

pub(crate) async fn append_team_deleted(tx: &mut Tx, team: &Team) -> Result<(), DbErr> {
    append(tx, team_aggregate(team), &TeamDeleted { team_id: team.id.to_string() }).await
}

pub(crate) async fn append_team_undeleted(tx: &mut Tx, team: &Team) -> Result<(), DbErr> {
    append(tx, team_aggregate(team), &TeamUndeleted { team_id: team.id.to_string() }).await
}

pub(crate) async fn append_agent_availability_changed(tx: &mut Tx, status: &AgentStatus) -> Result<(), DbErr> {
    let changed = AgentAvailabilityChanged {
        agent_id: status.agent.to_string(),
        availability: pb::Availability::from(status.published).into(),
        away_reason: status.away_reason().map(pb::AwayReason::from).unwrap_or_default().into(),
        change_time: status.changed_at.map(Time::to_proto),
    };
    // The agent's own id is that of the agent's events, which have versions of their own.
    let id = Uuid::new_v5(&status.agent, b"status");
    let aggregate =
        Aggregate { source: NAME, account: status.account, kind: "agent_status", id, version: status.version };
    append(tx, aggregate, &changed).await
}

fn team_aggregate(team: &Team) -> Aggregate {
    Aggregate { source: NAME, account: team.account, kind: "team", id: team.id, version: team.version }
}
