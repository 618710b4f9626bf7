//! Changes an endpoint of webhooks.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{check_event_types, receiver_url};
use crate::{
    App,
    domain::{WebhookEndpoint, WebhookEndpointChange},
    error::NotificationError,
    store,
};

/// The endpoint to change.
#[derive(Clone, Debug)]
pub(crate) struct UpdateWebhookEndpoint {
    pub(crate) endpoint: Uuid,
    pub(crate) change: WebhookEndpointChange,
    /// The etag that the caller read. Empty: change it unconditionally.
    pub(crate) etag: String,
}

/// Changes the endpoint. One that has the content already stays as it is.
pub(crate) async fn update_webhook_endpoint(
    app: &App,
    caller: &Caller,
    mut command: UpdateWebhookEndpoint,
) -> Result<WebhookEndpoint, NotificationError> {
    if let Some(url) = &mut command.change.url {
        *url = receiver_url(app, url)?;
    }
    check_event_types(app, command.change.event_types.as_deref().unwrap_or_default())?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut endpoint = store::webhook_endpoints::find_for_update(&tx, caller.account, command.endpoint)
        .await?
        .ok_or(NotificationError::NotFound("webhook endpoint"))?;
    if endpoint.update(command.change, &command.etag, tx.now().await?)? {
        store::webhook_endpoints::save(&tx, &endpoint).await?;
        tx.on_commit(app.wake_webhooks());
    }
    tx.commit().await?;
    Ok(endpoint)
}
