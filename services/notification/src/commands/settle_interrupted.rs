//! Settles a delivery whose worker ended during an attempt.

use super::steps::save_delivery;
use crate::{App, domain::Claim, error::NotificationError, store};

/// Records the outcome of the attempt as unknown (rule T8); where the transport is idempotent, repeats the attempt.
pub(crate) async fn settle_interrupted(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(()) };
    let now = tx.now().await?;
    let event = if app.transport.is_idempotent() {
        delivery.requeue(now);
        None
    } else {
        delivery.record_unknown_outcome(&app.settings.retry_policy(), now)
    };
    save_delivery(app, &mut tx, &delivery, event).await?;
    tx.on_commit(app.wake());
    tx.commit().await?;
    Ok(())
}
