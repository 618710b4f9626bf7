//! A ticket's subject or status changes (rule X3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::TicketStatus,
    error::ConversationError,
    store::{entity::tickets::Model, tickets},
};

/// None: as it is.
pub(crate) struct UpdateTicket {
    pub ticket: Uuid,
    pub subject: Option<String>,
    pub status: Option<TicketStatus>,
}

pub(crate) async fn update_ticket(
    app: &App,
    caller: &Caller,
    command: UpdateTicket,
) -> Result<Model, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let ticket = tickets::find_for_update(&tx, caller.account, command.ticket).await?;
    let mut ticket = ticket.ok_or(ConversationError::NotFound("ticket"))?;
    let before = ticket.clone();
    ticket.subject = command.subject.unwrap_or(ticket.subject);
    ticket.status = command.status.unwrap_or(ticket.status);
    if ticket != before {
        tickets::save(&mut tx, &mut ticket).await?;
    }
    tx.commit().await?;
    Ok(ticket)
}
