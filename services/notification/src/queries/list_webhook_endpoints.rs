//! Endpoints of webhooks, oldest first.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::WebhookEndpoint, error::NotificationError, store};

/// Returns up to `limit` endpoints after an id.
pub(crate) async fn list_webhook_endpoints(
    app: &App,
    caller: &Caller,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<WebhookEndpoint>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::webhook_endpoints::list(&read.conn(), caller.account, after, limit).await?)
}
