//! One endpoint of webhooks.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::WebhookEndpoint, error::NotificationError, store};

/// Returns the endpoint.
pub(crate) async fn get_webhook_endpoint(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<WebhookEndpoint, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let found = store::webhook_endpoints::find(&read.conn(), caller.account, id).await?;
    found.ok_or(NotificationError::NotFound("webhook endpoint"))
}
