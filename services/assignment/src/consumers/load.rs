//! Keeps which agents own which open conversations: the load of an agent is the number of theirs.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{
    AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use super::history;
use crate::{App, domain::Actor, store::conversation_owners};

/// Records the owner and the status of conversations. Events may come in any order and repeatedly: the higher epoch has the owner, the
/// higher version of the conversation the status.
pub(crate) struct Load(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for Load {
    fn name(&self) -> &'static str {
        "assignment.load"
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
            ConversationClosed::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match account_id(event).and_then(|account| Ok((account, change(event)?))) {
            Ok((account, change)) => self.record(account, event.version.into(), change).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

/// What an event says of a conversation.
struct Change {
    conversation: Uuid,
    /// The epoch that began, and the agent who owns the conversation in it, if any. None: the owner stays.
    owner: Option<(i64, Option<Uuid>)>,
    /// Whether the conversation is open from the event on. None: its status stays.
    open: Option<bool>,
}

/// Reads the event.
fn change(event: &Event) -> Result<Change, String> {
    if event.r#type == ConversationClosed::full_name() {
        let closed: ConversationClosed = decode(event)?;
        let conversation = uuid("conversation_id", &closed.conversation_id)?;
        return Ok(Change { conversation, owner: None, open: Some(false) });
    }
    let assignment = history::assignment(event)?;
    let agent = assignment.owner.as_ref().and_then(Actor::agent_id);
    let opens = [ConversationStarted::full_name(), ConversationReopened::full_name()].contains(&event.r#type);
    Ok(Change {
        conversation: assignment.conversation,
        owner: Some((assignment.epoch, agent)),
        open: opens.then_some(true),
    })
}

impl Load {
    async fn record(&self, account: AccountId, version: i64, change: Change) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        if let Some((epoch, agent)) = change.owner {
            conversation_owners::record_owner(&tx, account, change.conversation, epoch, agent).await?;
        }
        if let Some(open) = change.open {
            conversation_owners::record_status(&tx, account, change.conversation, version, open).await?;
        }
        tx.commit().await
    }
}
