//! One attempt to send a mail: its beginning is committed before the first byte is sent, its outcome afterwards.

use std::time::{Duration, Instant};

use super::steps::{Cause, save_delivery, suppress};
use crate::{
    App,
    domain::{AttemptOutcome, Claim, SuppressionReason},
    error::NotificationError,
    store,
    transport::Mail,
};

/// An attempt that was counted and committed.
pub(crate) struct Attempt {
    pub(crate) mail: Mail,
    /// End of the claim as this process's clock measures it. After a longer pause of the process another worker may have the
    /// delivery.
    pub(crate) claimed_until: Instant,
}

/// Counts and commits the attempt; a crash after this is detected when the claim ends. Returns the mail to send. None: the
/// claim has ended, or the mail was forgotten.
pub(crate) async fn begin_attempt(
    app: &App,
    claim: &Claim,
    duration: Duration,
) -> Result<Option<Attempt>, NotificationError> {
    let claimed_until = Instant::now() + duration;
    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(None) };
    let Some(bytes) = store::deliveries::find_mail(tx.conn(), claim.account, claim.delivery).await? else {
        let reason =
            "The mail is not stored any more. A new code is mailed by CreateSender, or when the visitor asks for one.";
        let event = delivery.fail_composing(reason.into());
        save_delivery(&mut tx, &delivery, Some(event)).await?;
        tx.commit().await?;
        return Ok(None);
    };
    let now = tx.now().await?;
    delivery.begin_attempt(now.plus(duration));
    store::deliveries::save(&tx, &delivery).await?;
    tx.commit().await?;
    fail::fail_point!("attempt-begun", |_| std::process::abort());
    let mail = Mail {
        account: delivery.account,
        delivery: delivery.id,
        from: delivery.mail_from,
        to: delivery.recipient_email,
        bytes,
    };
    Ok(Some(Attempt { mail, claimed_until }))
}

/// Records the outcome of the attempt, unless the claim has ended. An address that the server blames is not mailed any more.
pub(crate) async fn record_outcome(app: &App, claim: &Claim, outcome: AttemptOutcome) -> Result<(), NotificationError> {
    fail::fail_point!("mail-accepted", |_| std::process::abort());
    let mut tx = app.db.begin().await?;
    let refused = match &outcome {
        AttemptOutcome::RecipientRefused { status_code, .. } => Some(status_code.clone()),
        _ => None,
    };
    if refused.is_some() {
        // Before the delivery's row, as in the commands that lock both.
        store::mail_counts::lock(&tx, claim.account).await?;
    }
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(()) };
    let now = tx.now().await?;
    if let Some(status_code) = refused.filter(|_| delivery.kind.heeds_suppressions()) {
        let cause = Cause { reason: SuppressionReason::Refused, status_code, delivery: Some(delivery.id) };
        suppress(&tx, delivery.account, &delivery.recipient_email, cause, now).await?;
    }
    let event = delivery.record_attempt(outcome, &app.settings.retry_policy(), now);
    save_delivery(&mut tx, &delivery, event).await?;
    tx.commit().await?;
    Ok(())
}
