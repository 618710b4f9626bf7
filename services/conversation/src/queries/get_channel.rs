//! One channel, deleted or not.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Channel, error::ConversationError, store::channels};

pub(crate) async fn get_channel(app: &App, caller: &Caller, id: Uuid) -> Result<Channel, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let channel = channels::find(&read.conn(), caller.account, id).await?;
    channel.ok_or(ConversationError::NotFound("channel"))
}
