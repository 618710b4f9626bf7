//! One job on a contact.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::ContactJob, error::ConversationError, store::contact_jobs};

pub(crate) async fn get_contact_job(app: &App, caller: &Caller, id: Uuid) -> Result<ContactJob, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let job = contact_jobs::find(&read.conn(), caller.account, id).await?;
    job.ok_or(ConversationError::NotFound("contact job"))
}
