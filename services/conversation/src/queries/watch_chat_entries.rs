//! Watches of the entries that the visitor of a chat sees (rules C7, C10, S3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::{WATCH_ENTRIES, check_cursor, get_chat::read_chat, list_chat_entries::read_entries};
use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{display_names::DisplayNames, entries::EntryPage, visitor_marks},
};

/// The beginning of a watch, as its caller: refused when the visitor has no such chat, or `after` is beyond its last visitor
/// sequence. Returns the visitor sequence up to which the team has read it.
pub(crate) async fn begin_chat_watch(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    after: i64,
) -> Result<i64, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chat = read_chat(&read.conn(), caller, chat).await?;
    check_cursor(after, chat.last_visitor_sequence)?;
    Ok(visitor_marks::find_team_mark(&read.conn(), caller.account, chat.id).await?)
}

/// One read of a watch, after [`begin_chat_watch`]: outside of row-level security (ADR 0013). `after`: visitor sequence of the
/// last entry before. Returns the chat too, with the name of its owner.
pub(crate) async fn watch_chat_entries(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    after: i64,
) -> Result<(Conversation, EntryPage, DisplayNames), ConversationError> {
    let conn = app.db.read();
    let chat = read_chat(conn, caller, chat).await?;
    let (page, names) = read_entries(conn, &chat, after, None, WATCH_ENTRIES).await?;
    Ok((chat, page, names))
}
