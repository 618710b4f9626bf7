//! Addresses that are not mailed, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::Suppression, error::NotificationError, store};

/// Returns up to `limit` suppressions after a cursor. `email`: only of this address or its mailbox.
pub(crate) async fn list_suppressions(
    app: &App,
    caller: &Caller,
    email: Option<&str>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Suppression>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let hashes = match email {
        Some(email) => match store::suppressions::find_hashes(&read.conn(), caller.account, email).await? {
            Some(hashes) => Some(hashes),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    Ok(store::suppressions::list(&read.conn(), caller.account, hashes, after, limit).await?)
}
