//! Removes attachments that nobody sent, or that were deleted: first the row is marked, then its objects are deleted, then the row. So no
//! row that callers see is without its object, and an object without a row is found: that of an upload whose process ended, or whose
//! transaction failed.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{
    account_jobs, attachments, contact_jobs,
    objects::{ObjectKey, Objects},
};

/// Interval between two looks for attachments that are due.
const INTERVAL: Duration = Duration::from_secs(5);
/// After how long a replica removes what another one has marked and not removed.
const RETRY: Duration = Duration::from_secs(600);
/// Maximum number of attachments that are marked at once.
const BATCH: u64 = 100;
/// Maximum number of objects that are compared with their rows at once.
const OBJECTS: usize = 500;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Removes until the shutdown.
pub(super) async fn run(db: Db, objects: Objects, shutdown: CancellationToken) {
    let mut next_look = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = remove_due(&db, &objects).await {
            tracing::warn!(%error, "attachments that are due are not removed yet; retrying");
        }
        if Instant::now() >= next_look {
            next_look = Instant::now() + objects.removal_interval();
            if let Err(error) = remove_left_behind(&db, &objects).await {
                tracing::warn!(%error, "what uploads left behind is not removed yet; retrying later");
            }
        }
    }
}

async fn remove_due(db: &Db, objects: &Objects) -> Result<(), AnyError> {
    let tx = db.begin().await?;
    let now: Time = tx.now().await?;
    let due = attachments::mark_due(&tx, now, RETRY, BATCH).await?;
    tx.commit().await?;
    for (account, id) in due {
        // It is due again later, and delays no other.
        if let Err(error) = remove(db, objects, account, id).await {
            tracing::warn!(%error, attachment_id = %id, "an attachment is not removed yet; retrying later");
        }
    }
    Ok(())
}

async fn remove(db: &Db, objects: &Objects, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    objects.delete_all(account, id).await?;
    let tx = db.begin().await?;
    attachments::delete_marked(&tx, account, id).await?;
    Ok(tx.commit().await?)
}

/// Removes parts of uploads that ended with their process, and objects of uploads whose row names another one.
async fn remove_left_behind(db: &Db, objects: &Objects) -> Result<(), AnyError> {
    for some in objects.remove_parts().await?.chunks(OBJECTS) {
        let ids: Vec<_> = some.iter().map(|key| key.attachment).collect();
        let mut named = attachments::list_objects(db.read(), &ids).await?;
        // The file of an export is the object of its job.
        named.extend(contact_jobs::list_objects(db.read(), &ids).await?);
        named.extend(account_jobs::list_objects(db.read(), &ids).await?);
        let is_left = |key: &&ObjectKey| !named.contains(&key.object);
        for key in some.iter().filter(is_left) {
            objects.delete(*key).await?;
        }
    }
    Ok(())
}
