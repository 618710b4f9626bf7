//! The visitor leaves their mail address with a chat (rule X1). It is not verified.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use frontdesk_idempotency::Key;
use moka::future::Cache;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, VisitorAnswer, VisitorInChat, give_language, record_visitor_answer};
use crate::{
    App,
    domain::{Actor, Content},
    error::ConversationError,
    queries::read_chat,
};

/// Maximum number of addresses that a visitor may leave at one replica within [`LIMIT_PERIOD`]: each may move their chats.
const MAX_ADDRESSES: u32 = 10;
/// Period after a visitor's first address in which the others count.
const LIMIT_PERIOD: Duration = Duration::from_secs(3600);
/// Maximum number of visitors whose addresses are counted.
const CAPACITY: u64 = 100_000;

/// How many addresses each visitor has left lately.
#[derive(Clone)]
pub(crate) struct LeftAddresses(Cache<(AccountId, String), Arc<AtomicU32>>);

impl Default for LeftAddresses {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(LIMIT_PERIOD).build())
    }
}

pub(crate) struct LeaveAddress {
    pub(crate) chat: Uuid,
    /// In its canonical spelling.
    pub(crate) email: String,
    pub(crate) key: Key,
}

pub(crate) async fn leave_address(app: &App, caller: &Caller, command: LeaveAddress) -> Result<(), ConversationError> {
    let LeaveAddress { chat, email, key } = command;
    let answer = VisitorAnswer::email(email.clone());
    let (account, visitor) = (caller.account, caller.actor.id.as_str());
    let tx = app.db.begin_for(account).await?;
    // The chat of another visitor is nothing to lock for.
    read_chat(tx.conn(), caller, chat).await?;
    let locked = answer.lock(&tx, account, visitor, chat).await?;
    let mut begun = match ConversationChange::begin_chat_in(app, tx, caller, chat, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(_, ()) => return Ok(()),
    };
    let left = app.left_addresses.0.get_with((account, visitor.to_owned()), async { Arc::default() }).await;
    if left.fetch_add(1, Ordering::Relaxed) >= MAX_ADDRESSES {
        return Err(ConversationError::TooManyAddresses { retry_after: LIMIT_PERIOD });
    }
    // Also when the contact does not get it (rule X1), so that the team sees it.
    begun.conversation.add_system_entry(Actor::visitor(visitor), Content::AddressLeft { email }, begun.now);
    let whose = VisitorInChat::from(&begun.conversation);
    let contact = record_visitor_answer(app, &mut begun.tx, whose, answer, locked, begun.now).await?;
    begun.conversation.link_contact(contact, Actor::visitor(visitor), begun.now);
    give_language(&mut begun.tx, &begun.conversation, begun.now).await?;
    begun.commit(&()).await.map(drop)
}
