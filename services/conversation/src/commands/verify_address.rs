//! The visitor enters the code that was mailed to their address, which verifies it (rule X1).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, LockedVisitor, give_language};
use crate::{App, domain::Actor, error::ConversationError, notification, queries::read_chat};

pub(crate) struct VerifyAddress {
    pub(crate) chat: Uuid,
    /// In its canonical spelling.
    pub(crate) email: String,
    pub(crate) code: String,
}

pub(crate) async fn verify_address(
    app: &App,
    caller: &Caller,
    command: VerifyAddress,
) -> Result<(), ConversationError> {
    let VerifyAddress { chat, email, code } = command;
    let read = app.db.read_for(caller.account).await?;
    read_chat(&read.conn(), caller, chat).await?;
    drop(read);
    notification::check_address_code(app, caller, &email, &code).await?;

    let tx = app.db.begin_for(caller.account).await?;
    let visitor = LockedVisitor::lock_with_code(&tx, caller, chat, email).await?;
    let mut begun = match ConversationChange::begin_chat_in(app, tx, caller, chat, None).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(_, ()) => return Ok(()),
    };
    if let Some(contact) = visitor.contact_by_code(app, &mut begun.tx, caller, chat, begun.now).await? {
        begun.conversation.link_contact(contact, Actor::visitor(&caller.actor.id), begun.now);
        give_language(&mut begun.tx, &begun.conversation, begun.now).await?;
    }
    begun.commit(&()).await.map(drop)
}
