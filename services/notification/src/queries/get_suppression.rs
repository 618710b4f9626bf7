//! One address that is not mailed.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Suppression, error::NotificationError, store};

/// Returns the suppression, unless it was removed.
pub(crate) async fn get_suppression(app: &App, caller: &Caller, id: Uuid) -> Result<Suppression, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let found = store::suppressions::find(&read.conn(), caller.account, id).await?;
    found.ok_or(NotificationError::NotFound("suppression"))
}
