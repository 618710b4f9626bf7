//! The names that an answer about a conversation shows.

use frontdesk_auth::Caller;

use crate::{
    App,
    domain::{Conversation, Entry, Owner},
    error::ConversationError,
    store::display_names::{self, DisplayNames},
};

/// The names of the conversation's owner and visitor, and of everyone in these entries of it.
pub(crate) async fn find_names(
    app: &App,
    caller: &Caller,
    conversation: &Conversation,
    entries: &[Entry],
) -> Result<DisplayNames, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(display_names::find(&read.conn(), conversation, entries).await?)
}

/// The name of the entry's author, who is no visitor.
pub(crate) async fn find_author_name(
    app: &App,
    caller: &Caller,
    entry: &Entry,
) -> Result<DisplayNames, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(display_names::find_in_entries(&read.conn(), caller.account, std::slice::from_ref(entry)).await?)
}

/// The names of these owners.
pub(crate) async fn find_owner_names(
    app: &App,
    caller: &Caller,
    owners: impl IntoIterator<Item = Owner>,
) -> Result<DisplayNames, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(display_names::find_owners(&read.conn(), caller.account, owners).await?)
}
