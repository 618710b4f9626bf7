//! Entries that the visitor of a chat sees, with the names in them (rules C7, S3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::{WATCH_ENTRIES, get_chat::read_chat};
use crate::{
    App,
    error::ConversationError,
    store::{
        display_names::{self, DisplayNames},
        entries::{self, EntryPage},
    },
};

/// One read of a watch, which began with a query of its caller: outside of row-level security (ADR 0013). `after`: visitor
/// sequence of the last entry before.
pub(crate) async fn watch_chat_entries(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    after: i64,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let conn = app.db.read();
    let chat = read_chat(conn, caller, chat).await?;
    let page = entries::list_visible(conn, caller.account, chat.id, after, WATCH_ENTRIES).await?;
    let names = display_names::find(conn, &chat, &page.entries).await?;
    Ok((page, names))
}
