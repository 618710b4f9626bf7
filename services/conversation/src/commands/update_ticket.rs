//! A ticket's subject or status changes (rule X3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Ticket, TicketUpdate},
    error::ConversationError,
    store::tickets,
};

pub(crate) struct UpdateTicket {
    pub(crate) ticket: Uuid,
    pub(crate) update: TicketUpdate,
}

pub(crate) async fn update_ticket(
    app: &App,
    caller: &Caller,
    command: UpdateTicket,
) -> Result<Ticket, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let ticket = tickets::find_for_update(&tx, caller.account, command.ticket).await?;
    let mut ticket = ticket.ok_or(ConversationError::NotFound("ticket"))?;
    if ticket.update(command.update) {
        tickets::save(&mut tx, &mut ticket).await?;
    }
    tx.commit().await?;
    Ok(ticket)
}
