//! Attempts to send mails: `claim_deliveries.rs` commits their beginning before the first byte is sent; here are their outcomes.

use std::{collections::HashMap, time::Instant};

use frontdesk_outbox::Events;
use uuid::Uuid;

use super::steps::{Cause, save_delivery, suppress};
use crate::{
    App,
    domain::{AttemptOutcome, Claim, DeliveryStatus, SuppressionReason},
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
    save_delivery(app, &mut tx, &delivery, event).await?;
    tx.commit().await?;
    Ok(())
}

/// A mail that a mail server has accepted.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedMail {
    pub(crate) claim: Claim,
    /// The server's response.
    pub(crate) response: String,
    /// W3C trace context of the attempt.
    pub(crate) traceparent: String,
}

/// Records in one transaction that these mails were accepted, except those whose claim has ended.
pub(crate) async fn record_accepted(app: &App, accepted: &[AcceptedMail]) -> Result<(), NotificationError> {
    fail::fail_point!("mail-accepted", |_| std::process::abort());
    let mut tx = app.db.begin().await?;
    let claims: Vec<&Claim> = accepted.iter().map(|mail| &mail.claim).collect();
    let mut deliveries = store::due_deliveries::list_claimed_for_update(&tx, &claims).await?;
    let now = tx.now().await?;
    let policy = app.settings.retry_policy();
    let by_delivery: HashMap<Uuid, &AcceptedMail> = accepted.iter().map(|mail| (mail.claim.delivery, mail)).collect();
    let mut events = Events::new(now);
    for delivery in &mut deliveries {
        let Some(mail) = by_delivery.get(&delivery.id) else { continue };
        delivery.record_attempt(AttemptOutcome::Accepted(mail.response.clone()), &policy, now);
        store::events::push_delivery_sent(&mut events, delivery, &mail.traceparent);
    }
    store::due_deliveries::save_sent(&tx, &deliveries).await?;
    events.insert(&mut tx).await?;
    tx.commit().await?;
    app.deliveries.count(DeliveryStatus::Sent, deliveries.len());
    Ok(())
}
