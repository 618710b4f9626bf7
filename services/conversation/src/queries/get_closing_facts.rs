//! The stored snapshot of a close, and the visitor's name (rule T2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::get_conversation::read_conversation;
use crate::{
    App,
    domain::ClosingSnapshot,
    error::ConversationError,
    store::{closing_facts, closing_snapshots, display_names},
};

/// `close_number` 0: what a close now would store.
pub(crate) async fn get_closing_facts(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    close_number: i32,
) -> Result<(ClosingSnapshot, String), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = read_conversation(&conn, caller.account, conversation).await?;
    let visitor_name = display_names::find_visitor(&conn, &conversation).await?;
    if close_number == 0 {
        let facts = closing_facts::find(&conn, &conversation).await?;
        return Ok((ClosingSnapshot::new(&conversation, facts), visitor_name));
    }
    let close = closing_snapshots::find(&conn, caller.account, conversation.id, close_number).await?;
    Ok((close.ok_or(ConversationError::NotFound("close"))?, visitor_name))
}
