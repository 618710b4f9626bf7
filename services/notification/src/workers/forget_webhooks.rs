//! Deletes old deliveries of webhooks, old orders of events, and what is left of deleted endpoints.

use std::time::Duration;

use frontdesk_db::Retention;

use crate::{App, commands};

/// Interval at which what is left of deleted endpoints is deleted.
const INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of rows deleted in one transaction.
const PART: u64 = 1_000;

/// Deletes deliveries, and orders of events, that are older than the setting `keep_deliveries`, every hour until the shutdown, and what is left of
/// deleted endpoints.
pub(crate) async fn forget_webhooks(app: App) {
    let keep = app.settings.webhooks.keep_deliveries;
    let retentions = [
        // Ids rise with time.
        Retention { table: "webhook_deliveries", time_column: "created_at", order_column: "id", keep, batch: PART },
        Retention {
            table: "webhook_event_orders",
            time_column: "updated_at",
            order_column: "updated_at",
            keep,
            batch: PART,
        },
    ];
    tokio::join!(
        frontdesk_db::delete_expired(&app.db, &retentions, app.shutdown.clone()),
        forget_webhook_endpoints(&app)
    );
}

async fn forget_webhook_endpoints(app: &App) {
    while !app.shutdown.is_cancelled() {
        if let Err(error) = commands::forget_webhook_endpoints(app).await {
            tracing::warn!(%error, "what is left of deleted endpoints of webhooks was not deleted; trying again in a minute");
        }
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.clock.sleep(INTERVAL) => {}
        }
    }
}
