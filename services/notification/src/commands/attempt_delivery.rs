//! One attempt to send a mail: its beginning is committed before the first byte is sent, its outcome afterwards.

use std::time::Duration;

use super::steps::save_delivery;
use crate::{
    App,
    domain::{AttemptOutcome, Claim},
    error::NotificationError,
    store,
    transport::Mail,
};

/// Counts and commits the attempt; a crash after this is detected when the claim ends. Returns the mail to send. None: the
/// claim has ended.
pub(crate) async fn begin_attempt(
    app: &App,
    claim: &Claim,
    duration: Duration,
) -> Result<Option<Mail>, NotificationError> {
    let tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(None) };
    let bytes = store::deliveries::find_mail(&tx, claim.account, claim.delivery)
        .await?
        .ok_or_else(|| NotificationError::Internal("the bytes of a composed mail are missing".into()))?;
    let now = tx.now().await?;
    delivery.begin_attempt(now.plus(duration));
    store::deliveries::save(&tx, &delivery).await?;
    tx.commit().await?;
    Ok(Some(Mail {
        account: delivery.account,
        delivery: delivery.id,
        from: delivery.mail_from,
        to: delivery.recipient_email,
        bytes,
    }))
}

/// Records the outcome of the attempt, unless the claim has ended.
pub(crate) async fn record_outcome(app: &App, claim: &Claim, outcome: AttemptOutcome) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(()) };
    let now = tx.now().await?;
    let event = delivery.record_attempt(outcome, &app.settings.retry_policy(), now);
    save_delivery(&mut tx, &delivery, event).await?;
    tx.commit().await?;
    Ok(())
}
