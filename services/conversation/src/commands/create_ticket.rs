//! A ticket is created for the contact of a conversation (rules X3, T2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, mention_caller, require_active_caller, require_known_author};
use crate::{
    App,
    domain::{Actor, Content, Rejection, Ticket, TicketStatus},
    error::ConversationError,
    store::{contacts, tickets, visitors},
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
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, id) => {
            let ticket = tickets::find(begun.tx.conn(), caller.account, id).await?;
            return ticket.ok_or(ConversationError::NotFound("ticket"));
        }
    };
    require_active_caller(&begun.tx, caller).await?;
    let contact_id = begun.conversation.contact_id;
    if let Some(id) = contact_id
        && contacts::find(begun.tx.conn(), caller.account, id).await?.is_none()
    {
        return Err(ConversationError::rejected(Rejection::ContactErased));
    }
    let visitor = visitors::find(begun.tx.conn(), caller.account, &begun.conversation.visitor_id).await?;
    let ticket = Ticket {
        id: begun.tx.new_id(),
        account: caller.account,
        conversation_id: command.conversation,
        contact_id: contact_id.ok_or(ConversationError::rejected(Rejection::ContactUnknown))?,
        of_contact: visitor.and_then(|visitor| visitor.own_contact()) == contact_id,
        subject: command.subject,
        status: TicketStatus::Open,
        url: command.url,
        created_at: begun.now,
        updated_at: begun.now,
        version: 1,
    };
    mention_caller(&begun.tx, caller).await?;
    let created = Content::TicketCreated { ticket_id: ticket.id };
    begun.conversation.add_system_entry(command.by, created, begun.now);
    tickets::insert(&mut begun.tx, &ticket).await?;
    begun.commit(&ticket.id).await?;
    Ok(ticket)
}
