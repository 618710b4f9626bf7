//! The file of an export while it is written: JSON lines, of which one part is in memory.

use std::time::Duration;

use frontdesk_clock::Time;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{super::contact_jobs::CLAIM, Stop};
use crate::{
    App,
    domain::{ContactJob, ExportFile, ExportHead, RecordPage},
    store::{
        contact_jobs,
        objects::{NewObject, ObjectKey},
    },
};

/// Interval between two renewals of the claim while records are written.
const RENEWAL: Duration = Duration::from_secs(5);

/// A file that is being written. What was written is deleted when it is dropped before it is complete.
pub(super) struct NewFile<'a> {
    app: &'a App,
    shutdown: &'a CancellationToken,
    pub(super) job: &'a ContactJob,
    object: NewObject,
    digest: Sha256,
    size: i64,
    records: u64,
    renewed_at: Instant,
}

impl<'a> NewFile<'a> {
    pub(super) async fn create(
        app: &'a App,
        shutdown: &'a CancellationToken,
        job: &'a ContactJob,
    ) -> Result<Self, Stop> {
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

    /// Adds a record.
    pub(super) async fn write(&mut self, record: &Value) -> Result<(), Stop> {
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

    /// Adds the records of a page. Returns the token of the next page. None: it was the last one.
    pub(super) async fn write_page(&mut self, page: RecordPage) -> Result<Option<String>, Stop> {
        for record in &page.records {
            self.write(record).await?;
        }
        Ok(Some(page.next_page_token).filter(|token| !token.is_empty()))
    }

    /// The service has delivered its part.
    pub(super) async fn deliver(&mut self, service: &str) -> Result<(), Stop> {
        self.renew(Some(service)).await
    }

    /// Renews the claim, unless the job has ended.
    async fn renew(&mut self, delivered: Option<&str>) -> Result<(), Stop> {
        let tx = self.app.db.begin_for(self.job.account).await?;
        let found = contact_jobs::find_for_update(&tx, self.job.account, self.job.id).await?;
        let Some(mut job) = found.filter(ContactJob::is_exporting) else { return Err(Stop::Ended) };
        if let Some(service) = delivered {
            job.deliver(service);
        }
        job.due_at = Some(tx.now().await?.plus(CLAIM));
        contact_jobs::save(&tx, &job).await?;
        tx.commit().await?;
        self.renewed_at = Instant::now();
        Ok(())
    }

    /// Adds the last record, and makes the bytes an object. The job is still in progress when it is asked last.
    pub(super) async fn complete(mut self, expires_at: Time) -> Result<ExportFile, Stop> {
        self.write(&ExportHead::end_record(self.records)).await?;
        self.object.flush().await?;
        self.renew(None).await?;
        let object = self.object.key.object;
        self.object.complete().await?;
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(ExportFile { object, size: self.size, sha256, expires_at })
    }
}
