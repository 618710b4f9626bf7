//! Records the outcome of an attempt to send an event to an endpoint of webhooks.

use super::ClaimedWebhook;
use crate::{App, domain::WebhookOutcome, error::NotificationError, store};

/// Records the outcome, unless the claim has ended. An endpoint whose attempts have failed for the set time is disabled.
pub(crate) async fn record_webhook(
    app: &App,
    claimed: &ClaimedWebhook,
    outcome: WebhookOutcome,
) -> Result<(), NotificationError> {
    fail::fail_point!("webhook-sent", |_| std::process::abort());
    let (settings, account) = (&app.settings.webhooks, claimed.endpoint.account);
    let mut tx = app.db.begin().await?;
    let (confirmed, disable_after) = (outcome.is_confirmed(), settings.disable_after);
    // The endpoint before the delivery, as in the commands that lock both; and only where it changes, for attempts of one endpoint would wait
    // for each other.
    let mut endpoint = None;
    if claimed.endpoint.is_changed_by_attempt(confirmed, disable_after, tx.now().await?) {
        endpoint = store::webhook_endpoints::find_for_update(&tx, account, claimed.endpoint.id).await?;
    }
    let found = store::webhook_deliveries::find_for_update(&tx, account, claimed.delivery.id).await?;
    let held = found.filter(|delivery| delivery.claimed && delivery.claim == claimed.delivery.claim);
    let Some(mut delivery) = held else { return Ok(()) };
    let now = tx.now().await?;
    delivery.record_attempt(outcome, &settings.policy(), now);
    store::webhook_deliveries::save(&tx, &delivery).await?;
    if let Some(mut endpoint) = endpoint {
        let disabled = endpoint.note_attempt(confirmed, disable_after, now);
        store::webhook_endpoints::save(&tx, &endpoint).await?;
        if disabled {
            store::events::append_webhook_endpoint_disabled(&mut tx, &endpoint).await?;
            tracing::warn!(endpoint = %endpoint.id, %account, "an endpoint of webhooks was disabled: its attempts failed for too long");
        }
    }
    if claimed.endpoint.ordered {
        // The next event of the aggregate waited for this one.
        tx.on_commit(app.wake_webhooks());
    }
    tx.commit().await?;
    Ok(())
}
