//! Deletes what is left of deleted endpoints of webhooks.

use crate::{App, error::NotificationError, store};

/// Maximum number of deliveries ended in one transaction.
const PART: u64 = 1_000;

/// Ends the deliveries that still wait for deleted endpoints, and deletes the endpoints whose log is deleted by now.
pub(crate) async fn forget_webhook_endpoints(app: &App) -> Result<(), NotificationError> {
    let mut ended = PART;
    while ended == PART {
        let tx = app.db.begin().await?;
        ended = store::webhook_deliveries::fail_some_of_deleted(&tx, PART).await?;
        tx.commit().await?;
    }
    let tx = app.db.begin().await?;
    let before = tx.now().await?.minus(app.settings.webhooks.keep_deliveries);
    store::webhook_endpoints::remove_deleted(&tx, before).await?;
    tx.commit().await?;
    Ok(())
}
