//! Tickets, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::Ticket,
    error::ConversationError,
    store::{contacts, tickets},
};

/// `contact`, `conversation`: only theirs. `after`: time and id of the last ticket before.
pub(crate) async fn list_tickets(
    app: &App,
    caller: &Caller,
    contact: Option<Uuid>,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Ticket>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let contact = match contact {
        Some(contact) => Some(contacts::resolve(&read.conn(), caller.account, contact).await?),
        None => None,
    };
    Ok(tickets::list(&read.conn(), caller.account, contact, conversation, after, limit).await?)
}
