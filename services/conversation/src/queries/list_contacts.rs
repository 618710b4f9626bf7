//! Contacts, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::Contact, error::ConversationError, store::contacts};

/// `email`: only the contact that has it. `after`: time and id of the last contact before.
pub(crate) async fn list_contacts(
    app: &App,
    caller: &Caller,
    email: Option<String>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(contacts::list(&read.conn(), caller.account, email, after, limit).await?)
}
