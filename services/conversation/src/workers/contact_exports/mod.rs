//! Exports contacts (rule X2). An attempt writes the whole file, page by page, as an object that no row names; when it is complete, the job
//! names it. A process that ends in the middle leaves a job that is due when its claim ends, and then begins anew. Start reading at
//! [`turn`], then in `records.rs`.

mod records;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    contact_jobs::{AnyError, CLAIM},
    export_file::{ExportJob, NewFile, Stop},
};
use crate::{
    App,
    domain::{ContactJob, ExportFile, FILE_LIFETIME},
    store::{contact_jobs, contacts, merged_contacts, objects::ObjectKey},
};

impl ExportJob for ContactJob {
    fn ids(&self) -> (AccountId, Uuid) {
        (self.account, self.id)
    }

    async fn renew(&self, app: &App, delivered: Option<&str>) -> Result<bool, DbErr> {
        let tx = app.db.begin_for(self.account).await?;
        let found = contact_jobs::find_for_update(&tx, self.account, self.id).await?;
        let Some(mut job) = found.filter(Self::is_exporting) else { return Ok(false) };
        if let Some(service) = delivered {
            job.deliver(service);
        }
        job.due_at = Some(tx.now().await?.plus(CLAIM));
        contact_jobs::save(&tx, &job).await?;
        tx.commit().await?;
        Ok(true)
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
            Ok(Some(file)) => {
                Ok(app.objects.delete(ObjectKey { account, attachment: id, object: file.object }).await?)
            }
            Ok(None) | Err(_) => Ok(()),
        };
    }
    let ends = match written {
        Ok(Some(file)) => {
            job.finish_export(file, now);
            true
        }
        Ok(None) => {
            let failure = "The contact was merged into another one, or erased, while it was exported.";
            job.fail_attempt(failure.to_owned(), true, now)
        }
        Err(stop) => match stop.into_failure(id) {
            Some(failure) => job.fail_attempt(failure, false, now),
            None => {
                job.due_at = Some(now);
                false
            }
        },
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

/// Writes the file as an object that no row names. None: the contact was merged or erased meanwhile.
async fn write(
    app: &App,
    shutdown: &CancellationToken,
    job: &ContactJob,
    now: Time,
) -> Result<Option<ExportFile>, Stop> {
    let expires_at = now.plus(FILE_LIFETIME);
    let mut file = NewFile::create(app, shutdown, job).await?;
    records::write(app, &mut file, now, expires_at).await?;
    let contact = {
        let read = app.db.read_for(job.account).await?;
        contacts::find(&read.conn(), job.account, job.contact_id).await?
    };
    // What another contact got meanwhile is not in the file.
    if contact.is_none_or(|contact| contact.id != job.contact_id) {
        return Ok(None);
    }
    file.complete(expires_at).await.map(Some)
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
