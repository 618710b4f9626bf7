//! A visitor's widget reports how far it has a chat (rule C13).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Signal, VisitorMarks},
    error::ConversationError,
    queries::read_chat,
    store::visitor_marks,
};

/// Raises the marks of the chat; lower numbers change nothing.
pub(crate) async fn mark_chat_read(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    reported: VisitorMarks,
) -> Result<(), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let last = read_chat(&read.conn(), caller, chat).await?.last_visitor_sequence;
    let marks = [("delivered_visitor_sequence", reported.delivered), ("read_visitor_sequence", reported.read)];
    if let Some((field, _)) = marks.into_iter().find(|(_, mark)| *mark > last) {
        return Err(ConversationError::MarkOutOfRange { field, last });
    }
    let before = visitor_marks::find(&read.conn(), caller.account, chat).await?;
    drop(read);
    if before.raised(reported) == before {
        return Ok(());
    }
    // The conversation is not locked: the statement raises each mark, also beside another one of the same chat.
    let tx = app.db.begin_for(caller.account).await?;
    visitor_marks::raise(&tx, caller.account, chat, before.raised(reported)).await?;
    let after = visitor_marks::find(tx.conn(), caller.account, chat).await?;
    tx.commit().await?;
    app.signal(chat, &Signal::VisitorMarks(after));
    Ok(())
}
