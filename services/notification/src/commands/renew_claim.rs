//! Renews the lease of a delivery.

use std::time::Duration;

use crate::{App, domain::Claim, error::NotificationError, store};

/// Renews the lease from now, if the claim still holds the delivery.
pub(crate) async fn renew_claim(app: &App, claim: &Claim, lease: Duration) -> Result<(), NotificationError> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::deliveries::renew(&tx, claim, now.plus(lease)).await?;
    Ok(tx.commit().await?)
}
