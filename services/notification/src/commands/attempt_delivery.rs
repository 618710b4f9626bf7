//! An attempt: it is written down before the first byte leaves, and its outcome after.

use std::time::Duration;

use super::announce::save_and_announce;
use crate::{
    App,
    domain::AttemptOutcome,
    error::NotificationError,
    store::{self, deliveries::Claim},
    transport::Mail,
};

/// The attempt is counted and committed: a crash from here on is found by the lease. None: it is somebody else's now.
pub(crate) async fn begin_attempt(
    app: &App,
    claim: &Claim,
    lease: Duration,
) -> Result<Option<Mail>, NotificationError> {
    let tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed(&tx, claim).await? else { return Ok(None) };
    let bytes = store::deliveries::find_mail(&tx, claim.account, claim.delivery)
        .await?
        .ok_or_else(|| NotificationError::Internal("a composed mail is not there".into()))?;
    let now = tx.now().await?;
    delivery.begin_attempt(now.plus(lease));
    store::deliveries::save(&tx, &delivery).await?;
    tx.commit().await?;
    Ok(Some(Mail {
        account: delivery.account_id,
        delivery: delivery.id,
        from: delivery.mail_from,
        to: delivery.recipient,
        bytes,
    }))
}

/// The outcome of the attempt, unless the lease ended meanwhile and the delivery is somebody else's.
pub(crate) async fn record_outcome(app: &App, claim: &Claim, outcome: AttemptOutcome) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed(&tx, claim).await? else { return Ok(()) };
    let now = tx.now().await?;
    let changed = delivery.attempted(outcome, &app.pauses(), now);
    save_and_announce(&mut tx, &mut delivery, changed).await?;
    tx.commit().await?;
    Ok(())
}
