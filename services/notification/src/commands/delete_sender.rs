//! Deletes a sender address.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, error::NotificationError, store};

/// Deletes the sender: transcripts of channels that chose it fail visibly from now on, and those that wait say so at once. A deleted one
/// stays as it is.
pub(crate) async fn delete_sender(app: &App, caller: &Caller, id: Uuid) -> Result<(), NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut sender = store::senders::find_also_deleted_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("sender"))?;
    if sender.deleted_at.is_none() {
        let now = tx.now().await?;
        sender.delete(now);
        store::senders::save(&tx, &sender).await?;
        store::deliveries::make_due(&tx, &sender, now).await?;
        tx.on_commit(app.wake());
    }
    tx.commit().await?;
    Ok(())
}
