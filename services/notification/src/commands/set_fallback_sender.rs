//! Makes a sender address the account's fallback.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Sender, error::NotificationError, store};

/// The sender, which is the one fallback now.
pub(crate) async fn set_fallback_sender(app: &App, caller: &Caller, id: Uuid) -> Result<Sender, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    // Of two that are set at once, the later one waits here and then replaces the first.
    store::limits::lock(&tx, caller.account).await?;
    let mut sender = store::senders::find_for_update(&tx, caller.account, id)
        .await?
        .filter(|sender| sender.deleted_at.is_none())
        .ok_or(NotificationError::NotFound("sender"))?;
    if !sender.verified {
        return Err(NotificationError::SenderNotVerified);
    }
    if !sender.fallback {
        store::senders::clear_fallback(&tx, caller.account).await?;
        sender.fallback = true;
        sender.version += 1;
        store::senders::save(&tx, &sender).await?;
    }
    tx.commit().await?;
    Ok(sender)
}
