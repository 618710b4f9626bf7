//! Verifies a sender address by its code.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Sender, error::NotificationError, store};

/// The sender, verified. A verified one stays as it is.
pub(crate) async fn verify_sender(
    app: &App,
    caller: &Caller,
    id: Uuid,
    code: &str,
) -> Result<Sender, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut sender = store::senders::find_for_update(&tx, caller.account, id)
        .await?
        .filter(|sender| sender.deleted_at.is_none())
        .ok_or(NotificationError::NotFound("sender"))?;
    if sender.verified {
        return Ok(sender);
    }
    let now = tx.now().await?;
    let verified = sender.try_code(code, now);
    sender.version += 1;
    store::senders::save(&tx, &sender).await?;
    // Also when it was wrong: the try is used up.
    tx.commit().await?;
    if verified { Ok(sender) } else { Err(NotificationError::CodeWrong) }
}
