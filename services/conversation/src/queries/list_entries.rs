//! Entries of a thread after a sequence, with the names in them.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{WATCH_ENTRIES, get_conversation::read_conversation};
use crate::{
    App,
    error::ConversationError,
    store::{
        display_names::{self, DisplayNames},
        entries::{self, EntryPage},
    },
};

/// `until`: up to this sequence.
pub(crate) async fn list_entries(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    read_entries(&read.conn(), caller.account, conversation, after, until, limit).await
}

/// One read of a watch, which began with a query of its caller: outside of row-level security, since callers of several
/// accounts never share a conversation, and a transaction for each read of each watch would cost too much (ADR 0013).
pub(crate) async fn watch_entries(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    after: i64,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    read_entries(app.db.read(), account, conversation, after, None, WATCH_ENTRIES).await
}

async fn read_entries<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(EntryPage, DisplayNames), ConversationError> {
    let conversation = read_conversation(conn, account, conversation).await?;
    let page = entries::list(conn, account, conversation.id, after, until, limit).await?;
    let names = display_names::find(conn, &conversation, &page.entries).await?;
    Ok((page, names))
}
