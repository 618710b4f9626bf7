//! Claims deliveries that are due.

use std::time::Duration;

use uuid::Uuid;

use crate::{App, domain::Claim, error::NotificationError, store};

/// Claims up to `limit` due deliveries of all accounts for the duration of a claim, but none of those that this worker still
/// processes.
pub(crate) async fn claim_deliveries(
    app: &App,
    duration: Duration,
    running: &[Uuid],
    limit: u64,
) -> Result<Vec<Claim>, NotificationError> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let mut claims = Vec::new();
    for mut delivery in store::deliveries::list_due_for_update(&tx, now, running, limit).await? {
        claims.push(delivery.claim(now.plus(duration)));
        store::deliveries::save(&tx, &delivery).await?;
    }
    tx.commit().await?;
    Ok(claims)
}
