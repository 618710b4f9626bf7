//! One job on a contact.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{App, domain::ContactJob, error::ConversationError, store::contact_jobs};

pub(crate) async fn get_contact_job(app: &App, caller: &Caller, id: Uuid) -> Result<ContactJob, ConversationError> {
    let job = find_contact_job(app, caller.account, id).await?;
    job.ok_or(ConversationError::NotFound("contact job"))
}

/// For the holder of a link.
pub(crate) async fn find_contact_job(
    app: &App,
    account: AccountId,
    id: Uuid,
) -> Result<Option<ContactJob>, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(contact_jobs::find(&read.conn(), account, id).await?)
}
