//! One delivery of a webhook.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::WebhookDelivery, error::NotificationError, store};

/// Returns the delivery.
pub(crate) async fn get_webhook_delivery(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<WebhookDelivery, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let found = store::webhook_deliveries::find(&read.conn(), caller.account, id).await?;
    found.ok_or(NotificationError::NotFound("webhook delivery"))
}
