//! The address of an endpoint.

use crate::{App, error::NotificationError, webhook::check_url};

/// Returns the address in its normal form, or refuses one that an endpoint must not have.
pub(crate) fn receiver_url(app: &App, text: &str) -> Result<String, NotificationError> {
    check_url(text, &app.receiver_networks, app.settings.webhooks.allow_http)
        .map_err(|description| NotificationError::Field { field: "url", description: description.into() })
}
