//! Exports contacts (rule X2). An attempt writes the whole file, page by page, as an object that no row names; when it is complete, the job
//! names it. A process that ends in the middle leaves a job that is due when its claim ends, and then begins anew. Start reading at
//! [`turn`], then in `records.rs`.

mod file;
mod records;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::contact_jobs::{AnyError, CLAIM};
use crate::{
    App,
    domain::{ContactJob, ExportFile, FILE_LIFETIME},
    store::{contact_jobs, contacts, merged_contacts, objects::ObjectKey},
};
use file::NewFile;

/// Why an attempt ended without a file.
enum Stop {
    /// The job is no export in progress any more, or this process ends.
    Ended,
    /// The contact was merged or erased meanwhile.
    ContactGone,
    /// This service did not deliver its part.
    Service(&'static str, Status),
    Failed(AnyError),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// One attempt of an export, or the removal of its file.
pub(super) async fn turn(
    app: &App,
    shutdown: &CancellationToken,
    account: AccountId,
    id: Uuid,
) -> Result<(), AnyError> {
    let tx = app.db.begin_for(account).await?;
    let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? else { return Ok(()) };
    let now: Time = tx.now().await?;
    if job.is_exporting() {
        job.begin_attempt();
        job.due_at = Some(now.plus(CLAIM));
        contact_jobs::save(&tx, &job).await?;
        tx.commit().await?;
        return attempt(app, shutdown, &job, now).await;
    }
    if job.file.is_some() && job.readable_file(now).is_none() {
        tx.commit().await?;
        return remove_file(app, account, id).await;
    }
    job.due_at = job.file.as_ref().map(|file| file.expires_at);
    contact_jobs::save(&tx, &job).await?;
    Ok(tx.commit().await?)
}

/// Writes the file, and ends the job with it.
async fn attempt(app: &App, shutdown: &CancellationToken, job: &ContactJob, now: Time) -> Result<(), AnyError> {
    let written = write(app, shutdown, job, now).await;
    let (account, id) = (job.account, job.id);
    let mut tx = app.db.begin_for(account).await?;
    let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? else { return Ok(()) };
    let now = tx.now().await?;
    if !job.is_exporting() {
        // Cancelled meanwhile: nothing is being written any more. Of a finished one, another replica's file stays.
        if job.file.is_none() {
            job.due_at = None;
            contact_jobs::save(&tx, &job).await?;
        }
        tx.commit().await?;
        return match written {
            Ok(file) => Ok(app.objects.delete(ObjectKey { account, attachment: id, object: file.object }).await?),
            Err(_) => Ok(()),
        };
    }
    let ends = match written {
        Ok(file) => {
            job.finish_export(file, now);
            true
        }
        Err(Stop::Ended) => {
            job.due_at = Some(now);
            false
        }
        Err(Stop::ContactGone) => {
            let failure = "The contact was merged into another one, or erased, while it was exported.";
            job.fail_attempt(failure.to_owned(), true, now)
        }
        Err(Stop::Service(service, status)) => {
            tracing::warn!(contact_job_id = %id, service, %status, "a service did not deliver its part of an export");
            job.fail_attempt(
                format!("The {service} service did not deliver its part: {:?}.", status.code()),
                false,
                now,
            )
        }
        Err(Stop::Failed(error)) => {
            tracing::warn!(contact_job_id = %id, %error, "an attempt of an export failed");
            let failure = "The conversation service did not deliver its part, or the file could not be written.";
            job.fail_attempt(failure.to_owned(), false, now)
        }
    };
    match ends {
        true => contact_jobs::save_export_ended(&mut tx, &job).await?,
        false => contact_jobs::save(&tx, &job).await?,
    }
    tx.commit().await?;
    if ends && job.file.is_none() {
        // An earlier attempt may have completed an object, and ended with its process before the job named it.
        app.objects.delete_all(account, id).await?;
    }
    Ok(())
}

/// Writes the file as an object that no row names.
async fn write(app: &App, shutdown: &CancellationToken, job: &ContactJob, now: Time) -> Result<ExportFile, Stop> {
    let expires_at = now.plus(FILE_LIFETIME);
    let mut file = NewFile::create(app, shutdown, job).await?;
    records::write(app, &mut file, now, expires_at).await?;
    let contact = {
        let read = app.db.read_for(job.account).await?;
        contacts::find(&read.conn(), job.account, job.contact_id).await?
    };
    // What another contact got meanwhile is not in the file.
    if contact.is_none_or(|contact| contact.id != job.contact_id) {
        return Err(Stop::ContactGone);
    }
    file.complete(expires_at).await
}

/// Removes what exports wrote about the contact of an erasure. Fails while a replica may still write: it notices the end of the job before
/// the next page.
pub(super) async fn erase(app: &App, erasure: &ContactJob) -> Result<(), AnyError> {
    let account = erasure.account;
    let exports = {
        let read = app.db.read_for(account).await?;
        let mut contacts = merged_contacts::list_source_ids(&read.conn(), account, erasure.contact_id).await?;
        contacts.push(erasure.contact_id);
        contact_jobs::list_exports(&read.conn(), account, &contacts).await?
    };
    for id in exports {
        let mut tx = app.db.begin_for(account).await?;
        let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? else { continue };
        let now = tx.now().await?;
        if job.cancel_export(now) {
            contact_jobs::save_export_ended(&mut tx, &job).await?;
        }
        tx.commit().await?;
        if job.is_being_written(now) {
            return Err("an export of the contact is being written".into());
        }
        remove_file(app, account, id).await?;
    }
    Ok(())
}

/// First the object, then the row: an object without a row that leads to it would stay.
async fn remove_file(app: &App, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    app.objects.delete_all(account, id).await?;
    let tx = app.db.begin_for(account).await?;
    if let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? {
        job.forget_file();
        contact_jobs::save(&tx, &job).await?;
    }
    Ok(tx.commit().await?)
}
