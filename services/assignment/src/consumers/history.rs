//! Records the history of owners from each event that changes one (rule A8).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor as ProtoActor, ActorKind},
    assignment::v1::AssignmentCause as ProtoCause,
    event::v1::{AssigneeChanged, ConversationHandedOff, ConversationReopened, ConversationStarted, Event},
};
use prost::Name;
use prost_types::Timestamp;
use sea_orm::DbErr;

use crate::{
    App,
    domain::{Actor, Assignment, AssignmentCause},
    store,
};

const NAME: &str = "assignment.history";

/// Records an assignment for each event that begins one. Events may arrive in any order.
pub(crate) struct History(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for History {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![
            ConversationStarted::full_name(),
            AssigneeChanged::full_name(),
            ConversationHandedOff::full_name(),
            ConversationReopened::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match account_id(event).and_then(|account| Ok((account, assignment(event)?))) {
            Ok((account, assignment)) => self.record(event, account, assignment).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

impl History {
    async fn record(&self, event: &Event, account: AccountId, assignment: Assignment) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        if frontdesk_outbox::mark_handled(&tx, NAME, event).await? {
            store::assignments::record(&tx, account, assignment).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Returns the assignment that began with the event.
pub(super) fn assignment(event: &Event) -> Result<Assignment, String> {
    if event.r#type == ConversationStarted::full_name() {
        started(decode(event)?)
    } else if event.r#type == AssigneeChanged::full_name() {
        assignee_changed(decode(event)?)
    } else if event.r#type == ConversationHandedOff::full_name() {
        handed_off(decode(event)?)
    } else {
        reopened(decode(event)?)
    }
}

fn started(event: ConversationStarted) -> Result<Assignment, String> {
    Ok(Assignment {
        conversation: uuid("conversation_id", &event.conversation_id)?,
        epoch: event.epoch.into(),
        owner: Some(event.bot_id).filter(|id| !id.is_empty()).map(Actor::Bot),
        by: Some(Actor::System),
        cause: Some(AssignmentCause::Started),
        started_at: time(event.start_time)?,
    })
}

fn assignee_changed(event: AssigneeChanged) -> Result<Assignment, String> {
    let cause = match event.cause() {
        ProtoCause::Started => Some(AssignmentCause::Started),
        ProtoCause::ByHand => Some(AssignmentCause::ByHand),
        ProtoCause::HandedOff => Some(AssignmentCause::HandedOff),
        ProtoCause::Reopened => Some(AssignmentCause::Reopened),
        ProtoCause::Routed => Some(AssignmentCause::Routed),
        ProtoCause::AgentDeactivated => Some(AssignmentCause::AgentDeactivated),
        ProtoCause::AgentUnreachable => Some(AssignmentCause::AgentUnreachable),
        ProtoCause::Unspecified => None,
    };
    Ok(Assignment {
        conversation: uuid("conversation_id", &event.conversation_id)?,
        epoch: event.epoch.into(),
        owner: actor(event.new_owner),
        by: actor(event.by),
        cause,
        started_at: time(event.change_time)?,
    })
}

fn handed_off(event: ConversationHandedOff) -> Result<Assignment, String> {
    Ok(Assignment {
        conversation: uuid("conversation_id", &event.conversation_id)?,
        epoch: event.epoch.into(),
        owner: None,
        by: Some(Actor::Bot(event.bot_id)),
        cause: Some(AssignmentCause::HandedOff),
        started_at: time(event.change_time)?,
    })
}

fn reopened(event: ConversationReopened) -> Result<Assignment, String> {
    let by = actor(event.by);
    Ok(Assignment {
        conversation: uuid("conversation_id", &event.conversation_id)?,
        epoch: event.epoch.into(),
        // An administrator owns nothing.
        owner: by.clone().filter(|by| matches!(by, Actor::Agent(_))),
        by,
        cause: Some(AssignmentCause::Reopened),
        started_at: time(event.reopen_time)?,
    })
}

fn time(time: Option<Timestamp>) -> Result<Time, String> {
    time.as_ref().map(Time::from_proto).ok_or_else(|| "the event has no time".to_owned())
}

fn actor(actor: Option<ProtoActor>) -> Option<Actor> {
    let actor = actor?;
    match actor.kind() {
        ActorKind::Agent => Some(Actor::Agent(actor.id)),
        ActorKind::Bot => Some(Actor::Bot(actor.id)),
        ActorKind::Admin => Some(Actor::Admin(actor.id)),
        ActorKind::System | ActorKind::Visitor => Some(Actor::System),
        ActorKind::Unspecified => None,
    }
}
