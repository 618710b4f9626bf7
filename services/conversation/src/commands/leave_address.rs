//! The visitor leaves their mail address with a chat (rule X1). It is not verified.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, VisitorAnswer, VisitorInChat, record_visitor_answer};
use crate::{App, domain::Actor, error::ConversationError, store::conversations};

pub(crate) struct LeaveAddress {
    pub(crate) chat: Uuid,
    pub(crate) answer: VisitorAnswer,
    pub(crate) key: Key,
}

pub(crate) async fn leave_address(app: &App, caller: &Caller, command: LeaveAddress) -> Result<(), ConversationError> {
    let LeaveAddress { chat, answer, key } = command;
    let (account, visitor) = (caller.account, caller.actor.id.as_str());
    let tx = app.db.begin_for(account).await?;
    // The chat of another visitor is nothing to lock for.
    let own = conversations::find(tx.conn(), account, chat).await?;
    own.filter(|own| own.visitor_id == visitor).ok_or(ConversationError::NotFound("chat"))?;
    let locked = answer.lock(&tx, account, visitor, chat).await?;
    let mut begun = match ConversationChange::begin_chat_in(app, tx, caller, chat, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(_, ()) => return Ok(()),
    };
    let whose = VisitorInChat::from(&begun.conversation);
    let contact = record_visitor_answer(app, &mut begun.tx, whose, answer, locked, begun.now).await?;
    begun.conversation.link_contact(contact, Actor::visitor(visitor), begun.now);
    begun.commit(&()).await.map(drop)
}
