//! The team says which contact the visitor of a conversation is (rule X1), which verifies the link.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, Identities, VisitorInChat, give_language, link_visitor, mention_caller,
    require_active_caller, require_known_author,
};
use crate::{
    App,
    domain::{Actor, Conversation, NewLink, Visitor},
    error::ConversationError,
    store::{contacts, conversations},
};

pub(crate) struct LinkContact {
    pub(crate) conversation: Uuid,
    pub(crate) contact: Uuid,
    pub(crate) by: Actor,
}

pub(crate) async fn link_contact(
    app: &App,
    caller: &Caller,
    command: LinkContact,
) -> Result<Conversation, ConversationError> {
    require_known_author(app, caller).await?;
    match try_link(app, caller, &command).await {
        // The contact was merged meanwhile: the next attempt finds the one that is left.
        Err(ConversationError::ContactMerged { .. }) => try_link(app, caller, &command).await,
        result => result,
    }
}

async fn try_link(app: &App, caller: &Caller, command: &LinkContact) -> Result<Conversation, ConversationError> {
    let LinkContact { conversation, by, .. } = command;
    let conversation = *conversation;
    let tx = app.db.begin_for(caller.account).await?;
    let visitor = conversations::find(tx.conn(), caller.account, conversation).await?;
    let visitor = visitor.ok_or(ConversationError::NotFound("conversation"))?.visitor_id;
    let contact = contacts::resolve(tx.conn(), caller.account, command.contact).await?;
    let identities = Identities {
        account: caller.account,
        addresses: &[],
        visitor: Some(&visitor),
        joined: None,
        chat: Some(conversation),
        contact: Some(contact),
    };
    let locked = identities.lock(&tx).await?;
    identities.lock_rows(&tx, &locked).await?;
    let mut begun = match ConversationChange::begin_in(app, tx, caller, conversation, None).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let found = contacts::find(begun.tx.conn(), caller.account, contact).await?;
    let found = found.ok_or(ConversationError::NotFound("contact"))?.id;
    if found != contact {
        return Err(ConversationError::ContactMerged { contact: found });
    }
    let own_contact = locked.visitor.as_ref().and_then(Visitor::own_contact);
    if own_contact == Some(contact) && begun.conversation.contact_id == Some(contact) {
        return Ok(begun.conversation);
    }

    require_active_caller(&begun.tx, caller).await?;
    begun.conversation.require_not_erased().map_err(ConversationError::rejected)?;
    mention_caller(&begun.tx, caller).await?;
    let whose = VisitorInChat::from(&begun.conversation);
    link_visitor(app, &mut begun.tx, whose, NewLink::verified(contact), begun.now).await?;
    contacts::keep(&begun.tx, caller.account, contact).await?;
    begun.conversation.link_contact(contact, by.clone(), begun.now);
    give_language(&mut begun.tx, &begun.conversation, begun.now).await?;
    begun.finish(Ok(())).await
}
