//! Writes all that every service stores of an account to one file (rule X2): JSON lines, a page of rows at a time, as an object that no row
//! names until it is complete. An attempt that ends with its process is repeated when its claim ends.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, list_account_rows};
use sea_orm::DbErr;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    contact_jobs::AnyError,
    export_file::{ExportJob, NewFile, Stop},
};
use crate::{
    App, assignment, bot_session,
    commands::LinkPurpose,
    domain::{ACCOUNT_JOB_CLAIM, AccountJob, AttachmentStatus, ExportFile, record_time},
    notification,
    store::{ACCOUNT_TABLES, account_jobs, objects::ObjectKey},
};

/// Version of the format. It rises when a reader of an earlier version would read a record wrongly.
const FORMAT_VERSION: i32 = 1;

impl ExportJob for AccountJob {
    fn ids(&self) -> (AccountId, Uuid) {
        (self.account, self.id)
    }

    async fn renew(&self, app: &App, delivered: Option<&str>) -> Result<bool, DbErr> {
        let tx = app.db.begin_for(self.account).await?;
        let found = account_jobs::find_for_update(&tx, self.account, self.id).await?;
        let Some(mut job) = found.filter(Self::is_exporting) else { return Ok(false) };
        if let Some(service) = delivered {
            job.deliver(service);
        }
        job.due_at = Some(tx.now().await?.plus(ACCOUNT_JOB_CLAIM));
        account_jobs::save(&tx, &job).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Writes the file. The job names it, unless it was cancelled meanwhile.
pub(super) async fn attempt(
    app: &App,
    shutdown: &CancellationToken,
    job: &AccountJob,
    now: Time,
) -> Result<(), AnyError> {
    let written = write(app, shutdown, job, now).await;
    let (account, id) = (job.account, job.id);
    let tx = app.db.begin_for(account).await?;
    let Some(mut job) = account_jobs::find_for_update(&tx, account, id).await? else { return Ok(()) };
    let now = tx.now().await?;
    if !job.is_exporting() {
        tx.commit().await?;
        return match written {
            Ok(file) => Ok(app.objects.delete(ObjectKey { account, attachment: id, object: file.object }).await?),
            Err(_) => Ok(()),
        };
    }
    match written {
        Ok(file) => job.finish_export(file, now),
        Err(stop) => match stop.into_failure(id) {
            Some(failure) => job.fail_attempt(failure, now),
            None => job.due_at = Some(now),
        },
    }
    account_jobs::save(&tx, &job).await?;
    Ok(tx.commit().await?)
}

async fn write(app: &App, shutdown: &CancellationToken, job: &AccountJob, now: Time) -> Result<ExportFile, Stop> {
    let mut file = NewFile::create(app, shutdown, job).await?;
    file.write(&json!({
        "record": "export",
        "format_version": FORMAT_VERSION,
        "account_job_id": job.id,
        "account_id": job.account,
        "create_time": record_time(now),
    }))
    .await?;
    write_own_rows(&mut file, job.links_until(now)).await?;
    file.deliver("conversation").await?;
    for service in ["assignment", "bot-session", "notification"] {
        write_rows_of(&mut file, service).await?;
        file.deliver(service).await?;
    }
    // Any time: `AccountJob::finish_export` sets when the file expires.
    file.complete(job.created_at).await
}

async fn write_own_rows(file: &mut NewFile<'_, AccountJob>, links_until: Time) -> Result<(), Stop> {
    let (app, account) = (file.app, file.job.account);
    let mut cursor = String::new();
    loop {
        let page = {
            let read = app.db.read_for(account).await?;
            list_account_rows(&read.conn(), account, ACCOUNT_TABLES, cursor.parse()?).await?
        };
        for record in &page.records {
            let mut record: Value = serde_json::from_str(record)?;
            if record["record"] == "attachments" && record["status"] == AttachmentStatus::Ready.as_str() {
                let id: Uuid = record["id"].as_str().unwrap_or_default().parse()?;
                let link = app.attachment_links.link_until(LinkPurpose::Download, account, id, links_until)?;
                record["url"] = link.url.into();
            }
            record["service"] = "conversation".into();
            file.write(&record).await?;
        }
        if page.next_cursor.is_empty() {
            return Ok(());
        }
        cursor = page.next_cursor;
    }
}

async fn write_rows_of(file: &mut NewFile<'_, AccountJob>, service: &'static str) -> Result<(), Stop> {
    let (app, account) = (file.app, file.job.account);
    let mut cursor = String::new();
    loop {
        let page = match service {
            "assignment" => assignment::list_account_rows(app, account, cursor).await,
            "bot-session" => bot_session::list_account_rows(app, account, cursor).await,
            _ => notification::list_account_rows(app, account, cursor).await,
        };
        let page = page.map_err(|status| Stop::Service(service, status))?;
        for record in &page.records {
            let mut record: Value = serde_json::from_str(record)?;
            record["service"] = service.into();
            file.write(&record).await?;
        }
        if page.next_cursor.is_empty() {
            return Ok(());
        }
        cursor = page.next_cursor;
    }
}
