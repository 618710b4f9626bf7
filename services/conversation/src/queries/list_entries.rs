//! Entries of a thread after a sequence, with the names in them.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{WATCH_ENTRIES, check_cursor, get_conversation::read_conversation};
use crate::{
    App,
    domain::{Conversation, VisitorMarks},
    error::ConversationError,
    store::{
        display_names::{self, DisplayNames},
        entries::{self, EntryPage},
        visitor_marks,
    },
};

/// `until`: up to this sequence. Refused when `after` is beyond the last sequence.
pub(crate) async fn list_entries(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conversation = read_conversation(&read.conn(), caller.account, conversation).await?;
    check_cursor(after, conversation.last_sequence)?;
    read_entries(&read.conn(), &conversation, after, until, limit).await
}

/// The beginning of a watch, as its caller: refused when the conversation does not exist, or `after` is beyond its last
/// sequence. Returns how far the visitor has read.
pub(crate) async fn begin_watch(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    after: i64,
) -> Result<VisitorMarks, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conversation = read_conversation(&read.conn(), caller.account, conversation).await?;
    check_cursor(after, conversation.last_sequence)?;
    Ok(visitor_marks::find(&read.conn(), caller.account, conversation.id).await?)
}

/// One read of a watch, after [`begin_watch`]: outside of row-level security, since callers of several
/// accounts never share a conversation, and a transaction for each read of each watch would cost too much (ADR 0013).
pub(crate) async fn watch_entries(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    after: i64,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let conn = app.db.read();
    let conversation = read_conversation(conn, account, conversation).await?;
    read_entries(conn, &conversation, after, None, WATCH_ENTRIES).await
}

async fn read_entries<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let page = entries::list(conn, conversation.account, conversation.id, after, until, limit).await?;
    let names = display_names::find(conn, conversation, &page.entries).await?;
    Ok((page, names))
}
