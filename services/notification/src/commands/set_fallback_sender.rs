//! Makes a sender address the account's fallback (rule T5).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Sender, error::NotificationError, store};

/// Makes the sender the only fallback of the account.
pub(crate) async fn set_fallback_sender(app: &App, caller: &Caller, id: Uuid) -> Result<Sender, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    // Of two concurrent calls, the later one waits here and then replaces the fallback of the first.
    store::mail_counts::lock(&tx, caller.account).await?;
    let mut sender =
        store::senders::find_for_update(&tx, caller.account, id).await?.ok_or(NotificationError::NotFound("sender"))?;
    if !sender.verified {
        return Err(NotificationError::SenderNotVerified);
    }
    if !sender.fallback {
        let now = tx.now().await?;
        store::senders::clear_fallback(&tx, caller.account, now).await?;
        sender.set_fallback(now);
        store::senders::save(&tx, &sender).await?;
    }
    tx.commit().await?;
    Ok(sender)
}
