//! The secret of an endpoint, as its receiver takes it.

use crate::{App, domain::WebhookEndpoint, error::NotificationError, webhook::WebhookSecret};

/// Returns the newest secret of the endpoint. A repeat can come after the installation's secret was replaced: then it cannot be derived any more.
pub(crate) fn secret_text(app: &App, endpoint: &WebhookEndpoint) -> Result<String, NotificationError> {
    let secret = WebhookSecret::derive(&app.installation_secret, endpoint, &endpoint.secret);
    secret.map(|secret| secret.to_text()).ok_or(NotificationError::RequestIdReused)
}
