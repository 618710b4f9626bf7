//! Contacts, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::Contact,
    error::ConversationError,
    store::contacts::{self, ContactFilter},
};

/// `after`: time and id of the last contact before.
pub(crate) async fn list_contacts(
    app: &App,
    caller: &Caller,
    filter: ContactFilter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(contacts::list(&read.conn(), caller.account, &filter, after, limit).await?)
}
