//! Publishes how conversations wait in their queues (rules A6, C9), on every replica: at a change, and when a step joins.

use std::time::Duration;

use sea_orm::DbErr;

use crate::{App, commands, store::queue_publications};

/// Pause after a failed publication (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next publication (milliseconds), so that changes at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Minimum pause between two reads of the next publication (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// Publishes until the shutdown.
pub(crate) async fn publish_queues(app: App) {
    while !app.shutdown.is_cancelled() {
        let pause = match publish_due(&app).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "queues cannot be published; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            // Moving the development clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// Publishes what is due of one account. Returns how long to wait before the next read.
async fn publish_due(app: &App) -> Result<Duration, DbErr> {
    let Some((account, publish_at)) = queue_publications::find_next(app.db.read()).await? else {
        return Ok(MAX_PAUSE);
    };
    let now = app.db.now().await?;
    if publish_at > now {
        return Ok(publish_at.since(now).clamp(MIN_PAUSE, MAX_PAUSE));
    }
    commands::publish_queues(app, account).await?;
    Ok(MIN_PAUSE)
}
