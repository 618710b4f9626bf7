//! Finds changes of watched conversations whose notification was lost: one statement for all streams of this replica, so that
//! silent streams read nothing themselves.

use std::{collections::HashMap, time::Duration};

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::Db;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::conversations;

/// Interval between two looks at the watched conversations: a lost notification delays an entry by at most this.
const INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of conversations in one statement.
const MAX_IDS: usize = 10_000;

/// Looks until the shutdown.
pub(super) async fn run(db: Db, notifier: ChangeNotifier, shutdown: CancellationToken) {
    let mut last_sequences = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = notify_changed(&db, &notifier, &mut last_sequences).await {
            tracing::warn!(%error, "changes of watched conversations were not looked for; retrying");
        }
    }
}

/// Notifies the streams of conversations that have another last sequence than before, and of those that are new to this worker.
async fn notify_changed(
    db: &Db,
    notifier: &ChangeNotifier,
    last_sequences: &mut HashMap<Uuid, i64>,
) -> Result<(), DbErr> {
    let watched = notifier.subscribed();
    let mut found = HashMap::with_capacity(watched.len());
    for ids in watched.chunks(MAX_IDS) {
        found.extend(conversations::list_last_sequences(db.read(), ids).await?);
    }
    for (id, sequence) in &found {
        if last_sequences.get(id) != Some(sequence) {
            notifier.notify_local(*id);
        }
    }
    *last_sequences = found;
    Ok(())
}
