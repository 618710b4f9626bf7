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
/// Maximum number of assignments that one transaction records.
const MAX_BATCH: usize = 64;

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
        match assignment_of(event) {
            Ok((account, assignment)) => self.record(event, account, assignment).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let assignments: Vec<_> = events.iter().map(|event| assignment_of(event).ok()).collect();
        let readable: Vec<bool> = assignments.iter().map(Option::is_some).collect();
        let begun = events.iter().zip(assignments).filter_map(|(event, assignment)| Some((event, assignment?))).unzip();
        let recorded = self.record_all(begun).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "assignments are recorded one by one");
            false
        });
        readable.into_iter().map(|readable| readable && recorded).collect()
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

    /// Records the assignments that began with the events. Returns whether it did: not if one of them was handled before.
    async fn record_all(
        &self,
        (events, mut assignments): (Vec<&Event>, Vec<(AccountId, Assignment)>),
    ) -> Result<bool, DbErr> {
        if events.is_empty() {
            return Ok(false);
        }
        assignments.sort_by_key(|(account, assignment)| (*account, assignment.conversation, assignment.epoch));
        let tx = self.0.db.begin().await?;
        if !frontdesk_outbox::mark_all_handled(&tx, NAME, events.into_iter()).await? {
            return Ok(false);
        }
        store::assignments::record_all(&tx, assignments).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Returns the account, and the assignment that began with the event.
fn assignment_of(event: &Event) -> Result<(AccountId, Assignment), String> {
    Ok((account_id(event)?, assignment(event)?))
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
