//! The inbox: conversations, latest activity first, with the names of their owners.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{
        conversations::{self, Filter},
        display_names::{self, DisplayNames},
    },
};

/// `after`: time and id of the last conversation before.
pub(crate) async fn list_conversations(
    app: &App,
    caller: &Caller,
    filter: Filter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<(Vec<Conversation>, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conversations = conversations::list(&read.conn(), caller.account, filter, after, limit).await?;
    let owners = conversations.iter().filter_map(|conversation| conversation.owner);
    let names = display_names::find_owners(&read.conn(), caller.account, owners).await?;
    Ok((conversations, names))
}
