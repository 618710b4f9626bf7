//! The bot in charge creates a ticket for the contact of its conversation (rules B6, X3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, NewTicket, add_ticket};
use crate::{
    App,
    domain::{Actor, Ticket},
    error::ConversationError,
    store::tickets,
};

pub(crate) struct CreateTicketByBot {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) subject: String,
    pub(crate) key: Key,
}

pub(crate) async fn create_ticket_by_bot(
    app: &App,
    caller: &Caller,
    command: CreateTicketByBot,
) -> Result<Ticket, ConversationError> {
    let CreateTicketByBot { conversation, session, subject, key } = command;
    let mut begun = match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, id) => {
            let ticket = tickets::find(begun.tx.conn(), caller.account, id).await?;
            return ticket.ok_or(ConversationError::NotFound("ticket"));
        }
    };
    let bot = match begun.conversation.require_in_charge(session) {
        Ok(bot) => bot,
        Err(rejection) => return Err(begun.reject(rejection).await),
    };
    let new = NewTicket { by: Actor::bot(bot), subject, url: String::new() };
    let ticket = add_ticket(&mut begun, new).await?;
    begun.commit(&ticket.id).await?;
    Ok(ticket)
}
