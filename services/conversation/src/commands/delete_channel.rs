//! A channel is deleted: no conversation starts on it any more.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{App, domain::Channel, error::ConversationError, store::channels};

pub(crate) async fn delete_channel(app: &App, caller: &Caller, id: Uuid) -> Result<Channel, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, id).await?;
    let mut channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    let now = tx.now().await?;
    if let Some(change) = channel.delete(now) {
        require_active_caller(&tx, caller).await?;
        channels::save(&mut tx, &mut channel, change, now).await?;
        tx.commit().await?;
    }
    Ok(channel)
}
