//! Forgets the text of deliveries that failed long ago.

use std::time::Duration;

use crate::{App, commands};

/// Interval between two runs.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Forgets mails every hour until the shutdown.
pub(crate) async fn forget_mails(app: App) {
    while !app.shutdown.is_cancelled() {
        match commands::forget_mails(&app).await {
            Ok(0) => {}
            Ok(mails) => tracing::info!(mails, "the mails of deliveries that failed long ago were forgotten"),
            Err(error) => {
                tracing::warn!(%error, "the mails of failed deliveries were not forgotten; trying again in an hour")
            }
        }
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.clock.sleep(INTERVAL) => {}
        }
    }
}
