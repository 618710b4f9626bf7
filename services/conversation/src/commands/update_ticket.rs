//! A ticket's subject, status or link changes (rule X3), and the thread of its conversation says so (rule C3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, require_active_caller, require_known_author};
use crate::{
    App,
    domain::{Actor, Content, Ticket, TicketUpdate},
    error::ConversationError,
    store::tickets,
};

pub(crate) struct UpdateTicket {
    pub(crate) ticket: Uuid,
    pub(crate) update: TicketUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
    pub(crate) by: Actor,
}

pub(crate) async fn update_ticket(
    app: &App,
    caller: &Caller,
    command: UpdateTicket,
) -> Result<Ticket, ConversationError> {
    require_known_author(app, caller).await?;
    let tx = app.db.begin_for(caller.account).await?;
    let ticket = tickets::find(tx.conn(), caller.account, command.ticket).await?;
    let conversation = ticket.ok_or(ConversationError::NotFound("ticket"))?.conversation_id;
    // The conversation is locked before its ticket, as everywhere.
    let mut begun = match ConversationChange::begin_in(app, tx, caller, conversation, None).await? {
        Begun::First(begun) | Begun::Repeat(begun, ()) => begun,
    };
    let ticket = tickets::find_for_update(&begun.tx, caller.account, command.ticket).await?;
    let ticket = ticket.ok_or(ConversationError::NotFound("ticket"))?;
    let Some(mut updated) = ticket.updated(command.update) else { return Ok(ticket) };
    if !command.etag.is_empty() && command.etag != ticket.etag() {
        return Err(ConversationError::EtagMismatch("ticket"));
    }

    require_active_caller(&begun.tx, caller).await?;
    let change = Content::TicketUpdated(ticket.change_to(&updated));
    begun.conversation.add_system_entry(command.by, change, begun.now);
    tickets::save(&mut begun.tx, &mut updated, begun.now).await?;
    begun.finish(Ok(())).await?;
    Ok(updated)
}
