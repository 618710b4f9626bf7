//! Jobs on contacts, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::ContactJob, error::ConversationError, store::contact_jobs};

/// `after`: time and id of the last job before.
pub(crate) async fn list_contact_jobs(
    app: &App,
    caller: &Caller,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<ContactJob>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(contact_jobs::list(&read.conn(), caller.account, after, limit).await?)
}
