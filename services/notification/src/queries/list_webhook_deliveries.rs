//! Deliveries of an endpoint of webhooks, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::{WebhookDelivery, WebhookDeliveryStatus},
    error::NotificationError,
    store,
};

/// Returns up to `limit` deliveries after a cursor, also of a deleted endpoint. `statuses`: only with one of these; none: all.
pub(crate) async fn list_webhook_deliveries(
    app: &App,
    caller: &Caller,
    endpoint: Uuid,
    statuses: &[WebhookDeliveryStatus],
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<WebhookDelivery>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let found = store::webhook_endpoints::find_also_deleted(&read.conn(), caller.account, endpoint).await?;
    found.ok_or(NotificationError::NotFound("webhook endpoint"))?;
    Ok(store::webhook_deliveries::list(&read.conn(), caller.account, endpoint, statuses, after, limit).await?)
}
