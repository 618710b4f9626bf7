//! A deletion of a channel is undone: conversations start on it again, with the settings and visitor keys that it had.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{App, domain::Channel, error::ConversationError, store::channels};

pub(crate) async fn undelete_channel(app: &App, caller: &Caller, id: Uuid) -> Result<Channel, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, id).await?;
    let mut channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if let Some(change) = channel.undelete() {
        require_active_caller(&tx, caller).await?;
        let now = tx.now().await?;
        channels::save(&mut tx, &mut channel, change, now).await?;
        tx.commit().await?;
    }
    Ok(channel)
}
