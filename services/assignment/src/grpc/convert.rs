//! Conversions between the domain and the protos.

mod opening_hours;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_proto::{actor::v1 as actor, assignment::v1 as pb};
use tonic::Status;

use crate::domain::{Actor, Agent, AssignmentCause, AssignmentView, NamedActor};

pub(super) use opening_hours::{opening_hours, schedule};

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
    }
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

/// Returns a number that counts changes of one agent or conversation.
fn counter(number: i64) -> i32 {
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
