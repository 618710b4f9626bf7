//! Entries that the visitor of a chat sees, with the names in them (rules C7, S3).

use frontdesk_auth::Caller;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{check_cursor, get_chat::read_chat};
use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{
        display_names::{self, DisplayNames},
        entries::{self, EntryPage},
    },
};

/// `after`, `until`: visitor sequences. Refused when `after` is beyond the last one.
pub(crate) async fn list_chat_entries(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chat = read_chat(&read.conn(), caller, chat).await?;
    check_cursor(after, chat.last_visitor_sequence)?;
    read_entries(&read.conn(), &chat, after, until, limit).await
}

pub(super) async fn read_entries<C: ConnectionTrait>(
    conn: &C,
    chat: &Conversation,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let page = entries::list_visible(conn, chat.account, chat.id, after, until, limit).await?;
    let names = display_names::find(conn, chat, &page.entries).await?;
    Ok((page, names))
}
