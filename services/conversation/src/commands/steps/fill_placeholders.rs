//! The text of a bot's message with its placeholders filled (rule B6).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    error::ConversationError,
    store::{conversations, placeholder_values},
};

/// The text with the values that its placeholders have in the conversation now.
pub(crate) async fn fill_placeholders(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    text: &str,
) -> Result<String, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = conversations::find(&conn, caller.account, conversation).await?;
    let conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    let values = placeholder_values::find(&conn, &conversation, None, None).await?;
    Ok(values.fill(text).0)
}
