//! The file of an export while it is written: JSON lines, of which one part is in memory.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::DbErr;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::contact_jobs::AnyError;
use crate::{
    App,
    domain::{ExportFile, ExportHead},
    store::objects::{NewObject, ObjectKey},
};

/// Interval between two renewals of the claim while records are written.
const RENEWAL: Duration = Duration::from_secs(5);

/// A job whose file is written.
pub(super) trait ExportJob: Sync {
    /// The account and the job.
    fn ids(&self) -> (AccountId, Uuid);
    /// Renews the claim of the job, and notes the service that has delivered its part. False: the job is in progress no more.
    fn renew(&self, app: &App, delivered: Option<&str>) -> impl Future<Output = Result<bool, DbErr>> + Send;
}

/// Why an attempt ended without a file.
pub(super) enum Stop {
    /// The job is in progress no more, or this process ends.
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

impl Stop {
    /// Logs why the attempt of the job failed, and returns it in words for the caller of the export. None: it was ended.
    pub(super) fn into_failure(self, job_id: Uuid) -> Option<String> {
        match self {
            Self::Ended => None,
            Self::Service(service, status) => {
                tracing::warn!(%job_id, service, %status, "a service did not deliver its part of an export");
                Some(format!("The {service} service did not deliver its part: {:?}.", status.code()))
            }
            Self::Failed(error) => {
                tracing::warn!(%job_id, %error, "an attempt of an export failed");
                Some("The conversation service did not deliver its part, or the file could not be written.".into())
            }
        }
    }
}

/// A file that is being written. What was written is deleted when it is dropped before it is complete.
pub(super) struct NewFile<'a, J> {
    pub(super) app: &'a App,
    shutdown: &'a CancellationToken,
    pub(super) job: &'a J,
    object: NewObject,
    digest: Sha256,
    size: i64,
    records: u64,
    renewed_at: Instant,
}

impl<'a, J: ExportJob> NewFile<'a, J> {
    pub(super) async fn create(app: &'a App, shutdown: &'a CancellationToken, job: &'a J) -> Result<Self, Stop> {
        let (account, id) = job.ids();
        let key = ObjectKey { account, attachment: id, object: app.db.new_id() };
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

    /// The service has delivered its part.
    pub(super) async fn deliver(&mut self, service: &str) -> Result<(), Stop> {
        self.renew(Some(service)).await
    }

    async fn renew(&mut self, delivered: Option<&str>) -> Result<(), Stop> {
        if !self.job.renew(self.app, delivered).await? {
            return Err(Stop::Ended);
        }
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
