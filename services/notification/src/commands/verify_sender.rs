//! Verifies a sender address by its code (rule T5).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Sender, error::NotificationError, store};

/// Verifies the sender. A verified one stays as it is.
pub(crate) async fn verify_sender(
    app: &App,
    caller: &Caller,
    id: Uuid,
    code: &str,
) -> Result<Sender, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut sender =
        store::senders::find_for_update(&tx, caller.account, id).await?.ok_or(NotificationError::NotFound("sender"))?;
    if sender.verified {
        return Ok(sender);
    }
    let now = tx.now().await?;
    let verified = sender.try_code(code, now);
    store::senders::save(&tx, &sender).await?;
    // A wrong code is committed too: it uses up one try.
    tx.commit().await?;
    if verified { Ok(sender) } else { Err(NotificationError::CodeWrong) }
}
