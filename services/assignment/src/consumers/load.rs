//! Keeps which agents own which open conversations, and which conversations wait in the queue of routing (rules A6, A7): the load of an
//! agent is the number of theirs.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{
    AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use super::history;
use crate::{
    App,
    domain::{Actor, Waiting},
    store::{conversation_owners, routing_accounts, routing_queue},
};

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
    /// How the conversation waits for an agent from the event on. None: the event begins no wait.
    waiting: Option<Waiting>,
}

/// Reads the event.
fn change(event: &Event) -> Result<Change, String> {
    if event.r#type == ConversationClosed::full_name() {
        let closed: ConversationClosed = decode(event)?;
        let conversation = uuid("conversation_id", &closed.conversation_id)?;
        return Ok(Change { conversation, owner: None, open: Some(false), waiting: None });
    }
    let assignment = history::assignment(event)?;
    let agent = assignment.owner.as_ref().and_then(Actor::agent_id);
    let opens = [ConversationStarted::full_name(), ConversationReopened::full_name()].contains(&event.r#type);
    Ok(Change {
        conversation: assignment.conversation,
        owner: Some((assignment.epoch, agent)),
        open: opens.then_some(true),
        waiting: waiting(event, assignment.epoch, assignment.started_at)?,
    })
}

/// A conversation waits that begins on a channel with a routing policy, or that a bot hands off without naming an agent (rule B8).
fn waiting(event: &Event, epoch: i64, since: Time) -> Result<Option<Waiting>, String> {
    let (conversation, policy, contact_owner) = if event.r#type == ConversationStarted::full_name() {
        let started: ConversationStarted = decode(event)?;
        if started.routing_policy_id.is_empty() {
            return Ok(None);
        }
        (started.conversation_id, started.routing_policy_id, started.contact_owner_agent_id)
    } else if event.r#type == ConversationHandedOff::full_name() {
        let handed_off: ConversationHandedOff = decode(event)?;
        if !handed_off.agent_id.is_empty() {
            return Ok(None);
        }
        (handed_off.conversation_id, handed_off.routing_policy_id, String::new())
    } else {
        return Ok(None);
    };
    Ok(Some(Waiting {
        conversation: uuid("conversation_id", &conversation)?,
        epoch,
        policy: optional_uuid("routing_policy_id", &policy)?,
        contact_owner: optional_uuid("contact_owner_agent_id", &contact_owner)?,
        since,
    }))
}

pub(super) fn optional_uuid(field: &'static str, text: &str) -> Result<Option<Uuid>, String> {
    if text.is_empty() { Ok(None) } else { uuid(field, text).map(Some) }
}

impl Load {
    async fn record(&self, account: AccountId, version: i64, change: Change) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        // First the account, before rows of the queue: an owner's change or a close may free a place.
        if change.waiting.is_some() {
            routing_accounts::wake_or_insert(&tx, account).await?;
        } else {
            routing_accounts::wake(&tx, account).await?;
        }
        if let Some((epoch, agent)) = change.owner {
            conversation_owners::record_owner(&tx, account, change.conversation, epoch, agent).await?;
        }
        if let Some(open) = change.open {
            conversation_owners::record_status(&tx, account, change.conversation, version, open).await?;
        }
        if let Some(waiting) = change.waiting {
            routing_queue::insert(&tx, account, &waiting).await?;
        }
        routing_queue::remove_if_over(&tx, account, change.conversation).await?;
        tx.commit().await
    }
}
