//! One ticket.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Ticket, error::ConversationError, store::tickets};

pub(crate) async fn get_ticket(app: &App, caller: &Caller, id: Uuid) -> Result<Ticket, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let ticket = tickets::find(&read.conn(), caller.account, id).await?;
    ticket.ok_or(ConversationError::NotFound("ticket"))
}
