//! One sender address.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Sender, error::NotificationError, store};

/// Returns the sender, unless it is deleted.
pub(crate) async fn get_sender(app: &App, caller: &Caller, id: Uuid) -> Result<Sender, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    store::senders::find(&read.conn(), caller.account, id).await?.ok_or(NotificationError::NotFound("sender"))
}
