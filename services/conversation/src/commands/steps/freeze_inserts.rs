//! Copies of inserts for a message, as they are now (rule C6).

use frontdesk_api::FieldError;
use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{InsertContent, SentInsert},
    error::ConversationError,
    store::{conversations, inserts, placeholder_values},
};

/// Maximum size of the inserts of a message, as plain text (bytes).
const MAX_SIZE: usize = 64 * 1024;

/// The copies, in the order of `ids`. Refused when one does not exist or was deleted; a message of a bot goes without it.
pub(crate) async fn freeze_inserts(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    ids: &[Uuid],
    by_bot: bool,
) -> Result<Vec<SentInsert>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = conversations::find(&conn, caller.account, conversation).await?;
    let conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    let found = inserts::find_many(&conn, caller.account, ids).await?;
    let name = caller.name.as_deref();
    let values = placeholder_values::find(&conn, &conversation, caller.agent_id(), name).await?;
    let copy = |id: &Uuid| {
        // Content of a later release cannot be copied.
        let insert = found.get(id).filter(|insert| insert.content != InsertContent::Unknown);
        let copy = insert.map(|insert| insert.clone().freeze(&values).0);
        copy.ok_or(ConversationError::InsertUnknown { insert: *id })
    };
    let copies = ids.iter().map(copy).filter(|copy| !by_bot || copy.is_ok()).collect::<Result<Vec<_>, _>>()?;
    if copies.iter().map(|copy| copy.plain_text.len()).sum::<usize>() > MAX_SIZE {
        let remedy =
            format!("must have at most {} KiB together, as plain text; send them in several messages", MAX_SIZE / 1024);
        return Err(ConversationError::Fields(vec![FieldError::new("insert_ids", remedy)]));
    }
    Ok(copies)
}
