//! Sends a delivery of a webhook again.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{App, domain::WebhookDelivery, error::NotificationError, store};

/// Sends the delivery again, at once and with all its attempts.
pub(crate) async fn replay_webhook_delivery(
    app: &App,
    caller: &Caller,
    key: &Key,
    id: Uuid,
) -> Result<WebhookDelivery, NotificationError> {
    let absent = || NotificationError::NotFound("webhook delivery");
    let mut tx = app.db.begin_for(caller.account).await?;
    // The endpoint first, as in the commands that lock both.
    let found = store::webhook_deliveries::find(tx.conn(), caller.account, id).await?.ok_or_else(absent)?;
    store::webhook_endpoints::find_for_update(&tx, caller.account, found.endpoint).await?.ok_or_else(absent)?;
    let mut delivery = store::webhook_deliveries::find_for_update(&tx, caller.account, id).await?.ok_or_else(absent)?;
    if key.claim::<Uuid>(&tx).await?.is_none() {
        delivery.replay(tx.now().await?);
        store::webhook_deliveries::save(&tx, &delivery).await?;
        key.store_result(&tx, &delivery.id).await?;
        tx.on_commit(app.wake_webhooks());
    }
    tx.commit().await?;
    Ok(delivery)
}
