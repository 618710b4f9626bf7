//! Sender addresses.

use frontdesk_auth::Caller;

use crate::{App, domain::Sender, error::NotificationError, store};

/// Returns up to `limit` senders after an address in lower case, by address.
pub(crate) async fn list_senders(
    app: &App,
    caller: &Caller,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<Sender>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::senders::list(&read.conn(), caller.account, after, limit).await?)
}
