//! An insert as text, as a message of the caller would send it now.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::get_conversation::read_conversation;
use crate::{
    App,
    error::ConversationError,
    store::{inserts, placeholder_values},
};

/// Returns the text, and the names of the placeholders that have no value.
pub(crate) async fn render_insert(
    app: &App,
    caller: &Caller,
    insert: Uuid,
    conversation: Uuid,
) -> Result<(String, Vec<String>), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = read_conversation(&conn, caller.account, conversation).await?;
    let insert = inserts::find(&conn, caller.account, insert).await?.ok_or(ConversationError::NotFound("insert"))?;
    let name = caller.name.as_deref();
    let values = placeholder_values::find(&conn, &conversation, caller.agent_id(), name).await?;
    let (frozen, missing) = insert.freeze(&values);
    Ok((frozen.plain_text, missing))
}
