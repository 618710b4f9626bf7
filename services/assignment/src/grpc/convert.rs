//! Conversions between the domain and the protos.

mod opening_hours;
mod routing;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_proto::{actor::v1 as actor, assignment::v1 as pb};
use tonic::Status;

use crate::domain::{
    Actor, Agent, AssignmentCause, AssignmentView, Availability, AwayReason, Capacity, NamedActor, StatusView, Team,
};

pub(super) use opening_hours::{opening_hours, schedule};
pub(super) use routing::{explanation, ids, queue_place, routing_policy, routing_rules};

pub(super) fn agent(agent: Agent) -> pb::Agent {
    let etag = agent.etag();
    pb::Agent {
        id: agent.id.to_string(),
        name: agent.name,
        handle: agent.handle,
        email: agent.email,
        create_time: Some(agent.created_at.to_proto()),
        update_time: Some(agent.updated_at.to_proto()),
        deactivate_time: agent.deactivated_at.map(Time::to_proto),
        version: counter(agent.version),
        etag,
        capacity: Some(agent.capacity.into()),
    }
}

pub(super) fn team(team: Team) -> pb::Team {
    let etag = team.etag();
    pb::Team {
        id: team.id.to_string(),
        name: team.name,
        external_id: team.external_id,
        member_count: team.member_count,
        create_time: Some(team.created_at.to_proto()),
        update_time: Some(team.updated_at.to_proto()),
        delete_time: team.deleted_at.map(Time::to_proto),
        version: counter(team.version),
        etag,
    }
}

pub(super) fn agent_status(status: StatusView) -> pb::AgentStatus {
    pb::AgentStatus {
        agent_id: status.agent.to_string(),
        availability: pb::Availability::from(status.availability).into(),
        away_reason: status.away_reason.map(pb::AwayReason::from).unwrap_or_default().into(),
        change_time: status.changed_at.map(Time::to_proto),
        heartbeat_time: status.heartbeat_at.map(Time::to_proto),
        open_conversations: counter(status.open_conversations),
    }
}

/// None: the request does not say.
pub(super) fn availability(availability: pb::Availability) -> Option<Availability> {
    match availability {
        pb::Availability::Available => Some(Availability::Available),
        pb::Availability::Away => Some(Availability::Away),
        pb::Availability::Unspecified => None,
    }
}

/// None: the request does not say.
pub(super) fn capacity(capacity: pb::AgentCapacity) -> Option<Capacity> {
    Some(match capacity.limit? {
        pb::agent_capacity::Limit::Conversations(conversations) => Capacity::Conversations(conversations),
        pb::agent_capacity::Limit::Unlimited(_) => Capacity::Unlimited,
    })
}

pub(super) fn assignment(view: AssignmentView) -> pb::Assignment {
    pb::Assignment {
        conversation_id: view.conversation.to_string(),
        epoch: counter(view.epoch),
        owner: view.owner.map(named_actor),
        by: view.by.map(named_actor),
        cause: view.cause.map(pb::AssignmentCause::from).unwrap_or_default().into(),
        start_time: view.started_at.map(Time::to_proto),
        end_time: view.ended_at.map(Time::to_proto),
    }
}

/// Returns a number that counts changes of one resource, or conversations.
pub(super) fn counter(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn named_actor(named: NamedActor) -> actor::Actor {
    let (kind, id) = match named.actor {
        Actor::Agent(id) => (actor::ActorKind::Agent, id),
        Actor::Bot(id) => (actor::ActorKind::Bot, id),
        Actor::Admin(id) => (actor::ActorKind::Admin, id),
        Actor::System => (actor::ActorKind::System, String::new()),
    };
    actor::Actor { kind: kind.into(), id, name: named.name }
}

impl From<AssignmentCause> for pb::AssignmentCause {
    fn from(cause: AssignmentCause) -> Self {
        match cause {
            AssignmentCause::Started => Self::Started,
            AssignmentCause::ByHand => Self::ByHand,
            AssignmentCause::HandedOff => Self::HandedOff,
            AssignmentCause::Reopened => Self::Reopened,
            AssignmentCause::Routed => Self::Routed,
            AssignmentCause::AgentDeactivated => Self::AgentDeactivated,
            AssignmentCause::AgentUnreachable => Self::AgentUnreachable,
        }
    }
}

impl From<Capacity> for pb::AgentCapacity {
    fn from(capacity: Capacity) -> Self {
        use pb::agent_capacity::{Limit, Unlimited};
        let limit = match capacity {
            Capacity::Conversations(conversations) => Limit::Conversations(conversations),
            Capacity::Unlimited => Limit::Unlimited(Unlimited {}),
        };
        Self { limit: Some(limit) }
    }
}

impl From<Availability> for pb::Availability {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::Available => Self::Available,
            Availability::Away => Self::Away,
        }
    }
}

impl From<AwayReason> for pb::AwayReason {
    fn from(reason: AwayReason) -> Self {
        match reason {
            AwayReason::Chosen => Self::Chosen,
            AwayReason::NoHeartbeat => Self::NoHeartbeat,
            AwayReason::Deactivated => Self::Deactivated,
        }
    }
}

/// An address that mail can go to, in ASCII. Empty: none.
pub(super) fn email(text: &str) -> Result<String, Status> {
    let remedy = "must be an address that mail can go to, such as ada@example.com";
    if text.is_empty() {
        return Ok(String::new());
    }
    let address = frontdesk_mail_address::normalized(text);
    address.ok_or_else(|| ApiError::fields(vec![FieldError::new("email", remedy)]).into())
}
