//! Writes the history of owners down, from whatever event changes one (rule A8).

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_clock::Time;
use frontdesk_proto::{
    assignment::v1::{AssignmentCause, OwnerKind},
    event::v1::{
        Actor, ActorKind, AssigneeChanged, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
    },
};
use prost::Name;
use prost_types::Timestamp;
use sea_orm::DbErr;

use super::account;
use crate::{
    App,
    domain::{Party, Stretch},
    store,
};

const NAME: &str = "assignment.history";

/// Records a stretch for each event that begins one. Events may arrive in any order.
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
        match stretch(event) {
            Ok(stretch) => self.record(event, stretch).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

impl History {
    async fn record(&self, event: &Event, stretch: Stretch) -> Result<(), DbErr> {
        let account = account(event).map_err(DbErr::Type)?;
        let tx = self.0.db.begin().await?;
        if frontdesk_outbox::mark_handled(&tx, NAME, event).await? {
            store::assignments::record(&tx, account, &stretch).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// The stretch that the event began.
fn stretch(event: &Event) -> Result<Stretch, String> {
    if event.r#type == ConversationStarted::full_name() {
        let started: ConversationStarted = decode(event)?;
        let owner = if started.bot_id.is_empty() { Party::nobody() } else { Party::bot(started.bot_id) };
        let cause = AssignmentCause::Started;
        begun(&started.conversation_id, started.epoch, owner, Party::system(), cause, started.start_time)
    } else if event.r#type == AssigneeChanged::full_name() {
        let changed: AssigneeChanged = decode(event)?;
        let (owner, by) = (party(changed.to.as_ref()), party(changed.by.as_ref()));
        begun(&changed.conversation_id, changed.epoch, owner, by, AssignmentCause::ByHand, changed.change_time)
    } else if event.r#type == ConversationHandedOff::full_name() {
        let off: ConversationHandedOff = decode(event)?;
        let (by, cause) = (Party::bot(off.bot_id), AssignmentCause::HandedOff);
        begun(&off.conversation_id, off.epoch, Party::nobody(), by, cause, off.change_time)
    } else {
        let reopened: ConversationReopened = decode(event)?;
        let by = party(reopened.by.as_ref());
        let cause = AssignmentCause::Reopened;
        begun(&reopened.conversation_id, reopened.epoch, by.clone(), by, cause, reopened.reopen_time)
    }
}

fn begun(
    conversation: &str,
    epoch: i64,
    owner: Party,
    by: Party,
    cause: AssignmentCause,
    time: Option<Timestamp>,
) -> Result<Stretch, String> {
    let conversation = conversation.parse().map_err(|_| "the event's conversation is not a UUID".to_owned())?;
    let started_at = time.as_ref().map(Time::from_proto).ok_or("the event has no time")?;
    Ok(Stretch { conversation, epoch, owner, by, cause, started_at })
}

fn party(actor: Option<&Actor>) -> Party {
    let Some(actor) = actor else { return Party::nobody() };
    let kind = match actor.kind() {
        ActorKind::Agent => OwnerKind::Agent,
        ActorKind::Bot => OwnerKind::Bot,
        ActorKind::System | ActorKind::Visitor => return Party::system(),
        ActorKind::Unspecified => return Party::nobody(),
    };
    Party { kind, id: actor.id.clone() }
}
