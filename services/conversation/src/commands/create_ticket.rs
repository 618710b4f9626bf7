//! A ticket is created for the contact of a conversation (rules X3, T2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, NewTicket, add_ticket, mention_caller, require_active_caller, require_known_author,
};
use crate::{
    App,
    domain::{Actor, Ticket},
    error::ConversationError,
    store::tickets,
};

pub(crate) struct CreateTicket {
    pub(crate) conversation: Uuid,
    pub(crate) by: Actor,
    pub(crate) subject: String,
    pub(crate) url: String,
    pub(crate) key: Key,
}

pub(crate) async fn create_ticket(
    app: &App,
    caller: &Caller,
    command: CreateTicket,
) -> Result<Ticket, ConversationError> {
    require_known_author(app, caller).await?;
    let CreateTicket { conversation, by, subject, url, key } = command;
    let mut begun = match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, id) => {
            let ticket = tickets::find(begun.tx.conn(), caller.account, id).await?;
            return ticket.ok_or(ConversationError::NotFound("ticket"));
        }
    };
    require_active_caller(&begun.tx, caller).await?;
    let ticket = add_ticket(&mut begun, NewTicket { by, subject, url }).await?;
    mention_caller(&begun.tx, caller).await?;
    begun.commit(&ticket.id).await?;
    Ok(ticket)
}
