//! Renews the claim of a delivery.

use std::time::Duration;

use crate::{App, domain::Claim, error::NotificationError, store};

/// Renews the claim from now, if it still holds the delivery.
pub(crate) async fn renew_claim(app: &App, claim: &Claim, duration: Duration) -> Result<(), NotificationError> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::due_deliveries::renew(&tx, claim, now.plus(duration)).await?;
    Ok(tx.commit().await?)
}
