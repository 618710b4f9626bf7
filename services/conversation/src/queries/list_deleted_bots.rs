//! The bots of channels that were deleted: such a channel greets with none (rule B1).

use std::collections::HashSet;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Channel, error::ConversationError, store::bots};

/// Those of the channels' bots that were deleted.
pub(crate) async fn list_deleted_bots(
    app: &App,
    caller: &Caller,
    channels: &[Channel],
) -> Result<HashSet<Uuid>, ConversationError> {
    let ids: HashSet<Uuid> = channels.iter().filter_map(|channel| channel.bot_id).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let read = app.db.read_for(caller.account).await?;
    Ok(bots::list_deleted(&read.conn(), caller.account, ids).await?)
}
