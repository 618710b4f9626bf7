//! An administrator has a contact exported (rule X2). The job goes on in `workers/contact_exports/`.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::ContactJob,
    error::ConversationError,
    queries::missing_contact,
    store::{contact_jobs, contacts},
};

pub(crate) struct ExportContact {
    pub(crate) contact: Uuid,
    pub(crate) key: Key,
}

/// Returns the job of the export; where one of the contact is in progress, that one.
pub(crate) async fn export_contact(
    app: &App,
    caller: &Caller,
    command: ExportContact,
) -> Result<ContactJob, ConversationError> {
    // Without links nobody could read the file.
    app.attachment_links.require_enabled()?;
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        let job = contact_jobs::find(tx.conn(), account, id).await?;
        return job.ok_or(ConversationError::NotFound("contact job"));
    }
    // Locked: of two calls the second finds the job of the first, and an erasure finds both.
    let Some(contact) = contacts::find_for_update(&tx, account, command.contact).await? else {
        return Err(missing_contact(tx.conn(), account, command.contact).await?);
    };
    let job = match contact_jobs::find_running_export(&tx, account, contact.id).await? {
        Some(job) => job,
        None => {
            let now = tx.now().await?;
            let job = ContactJob::export(tx.new_id(), account, contact.id, &caller.actor.id, now);
            contact_jobs::insert(&tx, &job).await?;
            tx.on_commit(app.wake_contact_jobs());
            job
        }
    };
    command.key.store_result(&tx, &job.id).await?;
    tx.commit().await?;
    Ok(job)
}
