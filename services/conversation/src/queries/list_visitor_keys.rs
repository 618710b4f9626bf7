//! The channel's keys for visitor tokens that are active now, newest first.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::VisitorKey,
    error::ConversationError,
    store::{channels, visitor_keys},
};

/// `after`: number of the last key before.
pub(crate) async fn list_visitor_keys(
    app: &App,
    caller: &Caller,
    channel: Uuid,
    after: Option<i32>,
    limit: u64,
) -> Result<Vec<VisitorKey>, ConversationError> {
    let now = app.db.now().await?;
    let read = app.db.read_for(caller.account).await?;
    channels::find(&read.conn(), caller.account, channel).await?.ok_or(ConversationError::NotFound("channel"))?;
    Ok(visitor_keys::list_active(&read.conn(), caller.account, channel, now, after, limit).await?)
}
