//! Allows mails to an address again.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, error::NotificationError, store};

/// Removes the suppression. A removed one stays as it is.
pub(crate) async fn delete_suppression(app: &App, caller: &Caller, id: Uuid) -> Result<(), NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut suppression = store::suppressions::find_also_removed_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("suppression"))?;
    if suppression.removed_at.is_none() {
        suppression.removed_at = Some(tx.now().await?);
        store::suppressions::save(&tx, &suppression).await?;
    }
    tx.commit().await?;
    Ok(())
}
