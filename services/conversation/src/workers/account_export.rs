//! Writes all that every service stores of an account to one file (rule X2): JSON lines, a page of rows at a time, as an object that no row
//! names until it is complete. An attempt that ends with its process is repeated when its claim ends.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::list_account_rows;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::contact_jobs::AnyError;
use crate::{
    App, assignment, bot_session,
    commands::LinkPurpose,
    domain::{ACCOUNT_JOB_CLAIM, AccountJob, AttachmentStatus, ExportFile, ExportHead, record_time},
    notification,
    store::{
        ACCOUNT_TABLES, account_jobs,
        objects::{NewObject, ObjectKey},
    },
};

/// Interval between two renewals of the claim while records are written.
const RENEWAL: Duration = Duration::from_secs(5);
/// Version of the format. It rises when a reader of an earlier version would read a record wrongly.
const FORMAT_VERSION: i32 = 1;

/// Why an attempt ended without a file.
enum Stop {
    /// The job was cancelled, or this process ends.
    Ended,
    /// This service did not deliver its part.
    Service(&'static str, Status),
    Failed(AnyError),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
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
        Err(Stop::Ended) => job.due_at = Some(now),
        Err(Stop::Service(service, status)) => {
            tracing::warn!(account_job_id = %id, service, %status, "a service did not deliver its part of an export");
            job.fail_attempt(format!("The {service} service did not deliver its part: {:?}.", status.code()), now);
        }
        Err(Stop::Failed(error)) => {
            tracing::warn!(account_job_id = %id, %error, "an attempt of an export failed");
            let failure = "The conversation service did not deliver its part, or the file could not be written.";
            job.fail_attempt(failure.to_owned(), now);
        }
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
    file.complete().await
}

async fn write_own_rows(file: &mut NewFile<'_>, links_until: Time) -> Result<(), Stop> {
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

async fn write_rows_of(file: &mut NewFile<'_>, service: &'static str) -> Result<(), Stop> {
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

/// A file that is being written. What was written is deleted when it is dropped before it is complete.
struct NewFile<'a> {
    app: &'a App,
    shutdown: &'a CancellationToken,
    job: &'a AccountJob,
    object: NewObject,
    digest: Sha256,
    size: i64,
    records: u64,
    renewed_at: Instant,
}

impl<'a> NewFile<'a> {
    async fn create(app: &'a App, shutdown: &'a CancellationToken, job: &'a AccountJob) -> Result<Self, Stop> {
        let key = ObjectKey { account: job.account, attachment: job.id, object: app.db.new_id() };
        Ok(Self {
            app,
            shutdown,
            job,
            object: app.objects.create(key).await?,
            digest: Sha256::new(),
            size: 0,
            records: 0,
            renewed_at: Instant::now(),
        })
    }

    async fn write(&mut self, record: &Value) -> Result<(), Stop> {
        if self.shutdown.is_cancelled() {
            return Err(Stop::Ended);
        }
        if self.renewed_at.elapsed() >= RENEWAL {
            self.renew(None).await?;
        }
        let line = format!("{record}\n");
        self.digest.update(line.as_bytes());
        self.size += i64::try_from(line.len()).unwrap_or(i64::MAX);
        self.records += 1;
        Ok(self.object.write(line.as_bytes()).await?)
    }

    /// The service has delivered its part.
    async fn deliver(&mut self, service: &str) -> Result<(), Stop> {
        self.renew(Some(service)).await
    }

    /// Renews the claim, unless the job was cancelled.
    async fn renew(&mut self, delivered: Option<&str>) -> Result<(), Stop> {
        let tx = self.app.db.begin_for(self.job.account).await?;
        let found = account_jobs::find_for_update(&tx, self.job.account, self.job.id).await?;
        let Some(mut job) = found.filter(AccountJob::is_exporting) else { return Err(Stop::Ended) };
        if let Some(service) = delivered {
            job.deliver(service);
        }
        job.due_at = Some(tx.now().await?.plus(ACCOUNT_JOB_CLAIM));
        account_jobs::save(&tx, &job).await?;
        tx.commit().await?;
        self.renewed_at = Instant::now();
        Ok(())
    }

    /// Adds the last record, and makes the bytes an object. When it is removed the job says.
    async fn complete(mut self) -> Result<ExportFile, Stop> {
        self.write(&ExportHead::end_record(self.records)).await?;
        self.object.flush().await?;
        self.renew(None).await?;
        let object = self.object.key.object;
        self.object.complete().await?;
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(ExportFile { object, size: self.size, sha256, expires_at: self.job.created_at })
    }
}
