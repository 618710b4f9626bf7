//! Sender addresses.

use frontdesk_auth::Caller;

use crate::{App, domain::Sender, error::NotificationError, store};

/// By address.
pub(crate) async fn list_senders(app: &App, caller: &Caller) -> Result<Vec<Sender>, NotificationError> {
    Ok(store::senders::list(app.db.read(), caller.account).await?)
}
