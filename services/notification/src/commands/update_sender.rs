//! Changes a sender address.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Sender, SenderChange},
    error::NotificationError,
    store,
};

/// The sender to change.
#[derive(Clone, Debug)]
pub(crate) struct UpdateSender {
    pub(crate) sender: Uuid,
    pub(crate) change: SenderChange,
    /// The etag that the caller read. Empty: change it unconditionally.
    pub(crate) etag: String,
}

/// Changes the sender. One that has the content already stays as it is.
pub(crate) async fn update_sender(
    app: &App,
    caller: &Caller,
    command: UpdateSender,
) -> Result<Sender, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut sender = store::senders::find_for_update(&tx, caller.account, command.sender)
        .await?
        .ok_or(NotificationError::NotFound("sender"))?;
    if sender.update(command.change, &command.etag, tx.now().await?)? {
        store::senders::save(&tx, &sender).await?;
    }
    tx.commit().await?;
    Ok(sender)
}
