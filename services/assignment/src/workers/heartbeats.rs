//! Publishes that agents are away whose clients have stopped their heartbeats (rule A7). What callers read does not depend on it: there
//! it is calculated from the last heartbeat.

use std::time::Duration;

use sea_orm::DbErr;

use crate::{App, commands::save_status, store::agent_statuses};

/// Maximum number of statuses that are checked in one transaction.
const BATCH: u64 = 100;

/// Pause after a failed check (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next check (seconds), so that changes at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Minimum pause between two reads of the next check (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// Checks statuses until the shutdown.
pub(crate) async fn watch_heartbeats(app: App) {
    while !app.shutdown.is_cancelled() {
        let pause = match check_due(&app).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "agents whose heartbeats may have stopped cannot be checked; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            // The pause counts by the database's clock, so this machine's clock may be wrong. Moving the development
            // clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// Checks up to [`BATCH`] statuses. Returns how long to wait before the next read.
async fn check_due(app: &App) -> Result<Duration, DbErr> {
    let Some(next_check_at) = agent_statuses::find_next_check_at(app.db.read()).await? else { return Ok(MAX_PAUSE) };
    let now = app.db.now().await?;
    if next_check_at > now {
        return Ok(next_check_at.since(now).clamp(MIN_PAUSE, MAX_PAUSE));
    }

    let mut tx = app.db.begin().await?;
    let now = tx.now().await?;
    let due = agent_statuses::list_due_for_update(&tx, now, BATCH).await?;
    let checked = due.len() as u64;
    for mut status in due {
        let change = status.check(now, app.heartbeats);
        save_status(&mut tx, &status, change).await?;
    }
    tx.commit().await?;
    // A full batch says that more may be due.
    Ok(if checked == BATCH { Duration::ZERO } else { MIN_PAUSE })
}
