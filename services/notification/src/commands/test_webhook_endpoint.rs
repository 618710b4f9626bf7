//! Sends an event to an endpoint of webhooks, to test it.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::ArrivedEvent;
use crate::{App, domain::WebhookDelivery, error::NotificationError, store};

/// Queues an event for the endpoint alone. Returns its delivery.
pub(crate) async fn test_webhook_endpoint(
    app: &App,
    caller: &Caller,
    key: &Key,
    id: Uuid,
) -> Result<WebhookDelivery, NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let endpoint = store::webhook_endpoints::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("webhook endpoint"))?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        let delivery = store::webhook_deliveries::find(tx.conn(), caller.account, first).await?;
        return delivery.ok_or(NotificationError::NotFound("webhook delivery"));
    }
    let (now, event_id) = (tx.now().await?, tx.new_id());
    let event = store::events::webhook_endpoint_tested(event_id, &endpoint, now);
    let arrived = ArrivedEvent { event: &event, account: caller.account, id: event_id, aggregate: event_id };
    let delivery = WebhookDelivery::new(tx.new_id(), caller.account, id, arrived.queued(app)?, now, now);
    store::webhook_deliveries::insert_all_once(&tx, std::slice::from_ref(&delivery)).await?;
    key.store_result(&tx, &delivery.id).await?;
    tx.on_commit(app.wake_webhooks());
    tx.commit().await?;
    Ok(delivery)
}
