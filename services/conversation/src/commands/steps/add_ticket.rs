//! A new ticket for the contact of a conversation (rules X3, T2).

use super::ConversationChange;
use crate::{
    domain::{Actor, Content, Rejection, Ticket, TicketStatus},
    error::ConversationError,
    store::{contacts, tickets, visitors},
};

/// A ticket to create.
pub(crate) struct NewTicket {
    pub(crate) by: Actor,
    pub(crate) subject: String,
    pub(crate) url: String,
}

/// Inserts the ticket, and adds its entry to the conversation, which is still to be committed. Refused when the visitor is unknown.
pub(crate) async fn add_ticket(
    begun: &mut ConversationChange<'_>,
    new: NewTicket,
) -> Result<Ticket, ConversationError> {
    let (account, contact_id) = (begun.conversation.account, begun.conversation.contact_id);
    if let Some(id) = contact_id
        && contacts::find(begun.tx.conn(), account, id).await?.is_none()
    {
        return Err(ConversationError::rejected(Rejection::ContactErased));
    }
    let visitor = visitors::find(begun.tx.conn(), account, &begun.conversation.visitor_id).await?;
    let ticket = Ticket {
        id: begun.tx.new_id(),
        account,
        conversation_id: begun.conversation.id,
        contact_id: contact_id.ok_or(ConversationError::rejected(Rejection::ContactUnknown))?,
        of_contact: visitor.and_then(|visitor| visitor.own_contact()) == contact_id,
        subject: new.subject,
        status: TicketStatus::Open,
        url: new.url,
        created_at: begun.now,
        updated_at: begun.now,
        version: 1,
    };
    let created = Content::TicketCreated { ticket_id: ticket.id };
    begun.conversation.add_system_entry(new.by, created, begun.now);
    tickets::insert(&mut begun.tx, &ticket).await?;
    Ok(ticket)
}
