//! A visitor's widget reports how far it has a chat (rule C13).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Signal, VisitorMarks},
    error::ConversationError,
    store::{conversations, visitor_marks},
};

/// Raises the marks of the chat; lower numbers change nothing.
pub(crate) async fn mark_chat_read(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    reported: VisitorMarks,
) -> Result<(), ConversationError> {
    let tx = app.db.begin_for(caller.account).await?;
    // Locked, so that marks of two tabs are raised one after the other.
    let own = conversations::find_of_visitor_for_update(&tx, caller.account, chat, &caller.actor.id).await?;
    let last = own.ok_or(ConversationError::NotFound("chat"))?.last_visitor_sequence;
    if reported.delivered.max(reported.read) > last {
        return Err(ConversationError::CursorOutOfRange { last });
    }
    let before = visitor_marks::find(tx.conn(), caller.account, chat).await?;
    let after = before.raised(reported);
    if after != before {
        visitor_marks::save(&tx, caller.account, chat, after).await?;
        tx.commit().await?;
        app.signal(chat, &Signal::VisitorMarks(after));
    }
    Ok(())
}
