//! Channels by name.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Channel, error::ConversationError, store::channels};

/// `show_deleted`: deleted ones too. `after`: name and id of the last channel before.
pub(crate) async fn list_channels(
    app: &App,
    caller: &Caller,
    show_deleted: bool,
    after: Option<(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Channel>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(channels::list(&read.conn(), caller.account, show_deleted, after, limit).await?)
}
