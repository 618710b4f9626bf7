//! Gives an endpoint of webhooks a new secret.

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::secret_text;
use crate::{App, domain::WebhookEndpoint, error::NotificationError, store};

/// Returns the endpoint with its new secret. The one before stays valid for `keep_previous`.
pub(crate) async fn rotate_webhook_secret(
    app: &App,
    caller: &Caller,
    key: &Key,
    id: Uuid,
    keep_previous: Duration,
) -> Result<(WebhookEndpoint, String), NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut endpoint = store::webhook_endpoints::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("webhook endpoint"))?;
    if key.claim::<Uuid>(&tx).await?.is_none() {
        endpoint.rotate_secret(app.installation_secret.current_id(), keep_previous, tx.now().await?);
        store::webhook_endpoints::save(&tx, &endpoint).await?;
        key.store_result(&tx, &endpoint.id).await?;
    }
    let secret = secret_text(app, &endpoint)?;
    tx.commit().await?;
    Ok((endpoint, secret))
}
