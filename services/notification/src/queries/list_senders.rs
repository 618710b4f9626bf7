//! Sender addresses.

use frontdesk_auth::Caller;

use crate::{App, domain::Sender, error::NotificationError, store};

/// Returns the senders by address.
pub(crate) async fn list_senders(app: &App, caller: &Caller) -> Result<Vec<Sender>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::senders::list(&read.conn(), caller.account).await?)
}
