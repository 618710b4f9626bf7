//! Adds an endpoint of webhooks.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{check_event_types, receiver_url, secret_text};
use crate::{App, domain::WebhookEndpoint, error::NotificationError, store};

/// The endpoint to add.
#[derive(Clone, Debug)]
pub(crate) struct CreateWebhookEndpoint {
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) event_types: Vec<String>,
    pub(crate) ordered: bool,
}

/// Adds the endpoint. Returns it with its secret.
pub(crate) async fn create_webhook_endpoint(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateWebhookEndpoint,
) -> Result<(WebhookEndpoint, String), NotificationError> {
    let url = receiver_url(app, &command.url)?;
    check_event_types(app, &command.event_types)?;
    let tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        let endpoint = store::webhook_endpoints::find_also_deleted(tx.conn(), caller.account, first)
            .await?
            .ok_or(NotificationError::NotFound("webhook endpoint"))?;
        let secret = secret_text(app, &endpoint)?;
        return Ok((endpoint, secret));
    }
    let max = app.settings.webhooks.endpoints_per_account;
    if store::webhook_endpoints::count(&tx, caller.account).await? >= max {
        return Err(NotificationError::TooManyWebhookEndpoints(max));
    }
    let now = tx.now().await?;
    let source = app.installation_secret.current_id();
    let endpoint = WebhookEndpoint {
        description: command.description,
        event_types: command.event_types,
        ordered: command.ordered,
        ..WebhookEndpoint::new(tx.new_id(), caller.account, url, source, now)
    };
    let secret = secret_text(app, &endpoint)?;
    store::webhook_endpoints::insert(&tx, &endpoint).await?;
    key.store_result(&tx, &endpoint.id).await?;
    app.webhook_accounts.add(caller.account);
    tx.commit().await?;
    Ok((endpoint, secret))
}
