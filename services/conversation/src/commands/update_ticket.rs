//! A ticket's subject, status or link changes (rule X3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{Ticket, TicketUpdate},
    error::ConversationError,
    store::tickets,
};

pub(crate) struct UpdateTicket {
    pub(crate) ticket: Uuid,
    pub(crate) update: TicketUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
}

pub(crate) async fn update_ticket(
    app: &App,
    caller: &Caller,
    command: UpdateTicket,
) -> Result<Ticket, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let ticket = tickets::find_for_update(&tx, caller.account, command.ticket).await?;
    let ticket = ticket.ok_or(ConversationError::NotFound("ticket"))?;
    let Some(mut updated) = ticket.updated(command.update) else { return Ok(ticket) };
    if !command.etag.is_empty() && command.etag != ticket.etag() {
        return Err(ConversationError::EtagMismatch("ticket"));
    }

    require_active_caller(&tx, caller).await?;
    let now = tx.now().await?;
    tickets::save(&mut tx, &mut updated, now).await?;
    tx.commit().await?;
    Ok(updated)
}
