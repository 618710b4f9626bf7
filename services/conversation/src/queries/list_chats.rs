//! The calling visitor's chats, newest first, with the names of their owners (rule S3).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
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

/// `channel`: only those on it. `after`: time and id of the last chat before.
pub(crate) async fn list_chats(
    app: &App,
    caller: &Caller,
    channel: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<(Vec<Conversation>, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let visitor = &caller.actor.id;
    let chats = conversations::list_of_visitor(&read.conn(), caller.account, visitor, channel, after, limit).await?;
    let owners = chats.iter().filter_map(|chat| chat.owner);
    let names = display_names::find_owners(&read.conn(), caller.account, owners).await?;
    Ok((chats, names))
}
