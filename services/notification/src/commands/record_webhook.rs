//! Records the outcome of an attempt to send an event to an endpoint of webhooks.

use super::ClaimedWebhook;
use crate::{App, domain::WebhookOutcome, error::NotificationError, store};

/// Records the outcome, unless the claim has ended. An endpoint whose attempts have failed for the set time, or whose
/// receiver wants no events any more, is disabled.
pub(crate) async fn record_webhook(
    app: &App,
    claimed: &ClaimedWebhook,
    outcome: WebhookOutcome,
) -> Result<(), NotificationError> {
    fail::fail_point!("webhook-sent", |_| std::process::abort());
    let (settings, account) = (&app.settings.webhooks, claimed.endpoint.account);
    let mut tx = app.db.begin().await?;
    let (confirmed, is_gone, disable_after) = (outcome.is_confirmed(), outcome.is_gone(), settings.disable_after);
    // The endpoint before the delivery, as in the commands that lock both; and only where it changes, for attempts of one endpoint would wait
    // for each other.
    let mut endpoint = None;
    if confirmed {
        // Also if another attempt failed since the claim.
        store::webhook_endpoints::clear_failing_since(&tx, account, claimed.endpoint.id).await?;
    } else if claimed.endpoint.is_changed_by_failure(is_gone, disable_after, tx.now().await?) {
        endpoint = store::webhook_endpoints::find_for_update(&tx, account, claimed.endpoint.id).await?;
    }
    let found = store::webhook_deliveries::find_for_update(&tx, account, claimed.delivery.id).await?;
    let held = found.filter(|delivery| delivery.claimed && delivery.claim == claimed.delivery.claim);
    let Some(mut delivery) = held else { return Ok(()) };
    let now = tx.now().await?;
    delivery.record_attempt(outcome, &settings.policy(), now);
    store::webhook_deliveries::save(&tx, &delivery).await?;
    if let Some(mut endpoint) = endpoint {
        let disabled = endpoint.note_failure(is_gone, disable_after, now);
        store::webhook_endpoints::save(&tx, &endpoint).await?;
        if disabled {
            store::events::append_webhook_endpoint_disabled(&mut tx, &endpoint).await?;
            let why = if is_gone { "its receiver answered 410" } else { "its attempts failed for too long" };
            tracing::warn!(endpoint = %endpoint.id, %account, why, "an endpoint of webhooks was disabled");
        }
    }
    if claimed.endpoint.ordered {
        // The next event of the aggregate waited for this one.
        tx.on_commit(app.wake_webhooks());
    }
    tx.commit().await?;
    Ok(())
}
