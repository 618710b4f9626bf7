//! Removes attachments that nobody sent: first the row is marked, then the object is deleted, then the row. So no row that callers see
//! is without its object, and no object is without a row that leads to its removal.

use std::time::Duration;

use frontdesk_db::Db;
use tokio_util::sync::CancellationToken;

use crate::store::{attachments, objects::Objects};

/// Interval between two looks for attachments that are due.
const INTERVAL: Duration = Duration::from_secs(5);
/// After how long a replica removes what another one has marked and not removed.
const RETRY: Duration = Duration::from_secs(600);
/// Maximum number of attachments that are marked at once.
const BATCH: u64 = 100;

/// Removes until the shutdown.
pub(super) async fn run(db: Db, objects: Objects, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = remove_due(&db, &objects).await {
            tracing::warn!(%error, "attachments that were not sent are not removed yet; retrying");
        }
    }
}

async fn remove_due(db: &Db, objects: &Objects) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let tx = db.begin().await?;
    let now = tx.now().await?;
    let due = attachments::mark_due(&tx, now, RETRY, BATCH).await?;
    tx.commit().await?;
    for (account, id) in due {
        // It is due again later, and delays no other.
        if let Err(error) = objects.delete(account, id).await {
            tracing::warn!(%error, attachment_id = %id, "the bytes of an attachment cannot be deleted; retrying later");
            continue;
        }
        let tx = db.begin().await?;
        attachments::delete_marked(&tx, account, id).await?;
        tx.commit().await?;
    }
    Ok(())
}
