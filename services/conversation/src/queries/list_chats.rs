//! The calling visitor's chats, newest first, with the names of their owners (rule S3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{
        conversations,
        display_names::{self, DisplayNames},
    },
};

/// `channel`: only those on it.
pub(crate) async fn list_chats(
    app: &App,
    caller: &Caller,
    channel: Option<Uuid>,
) -> Result<(Vec<Conversation>, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chats = conversations::list_of_visitor(&read.conn(), caller.account, &caller.actor.id, channel).await?;
    let owners = chats.iter().filter_map(|chat| chat.owner);
    let names = display_names::find_owners(&read.conn(), caller.account, owners).await?;
    Ok((chats, names))
}
