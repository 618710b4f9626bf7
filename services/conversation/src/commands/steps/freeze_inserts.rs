//! Copies of inserts for a message, as they are now (rule C6).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::SentInsert,
    error::ConversationError,
    store::{conversations, inserts, placeholder_values},
};

/// The copies, in the order of `ids`. Refused when one does not exist or was deleted.
pub(crate) async fn freeze_inserts(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    ids: &[Uuid],
) -> Result<Vec<SentInsert>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = conversations::find(&conn, caller.account, conversation).await?;
    let conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    let found = inserts::find_many(&conn, caller.account, ids).await?;
    let name = caller.name.as_deref();
    let values = placeholder_values::find(&conn, &conversation, caller.agent_id(), name).await?;
    let copy = |id: &Uuid| {
        let copy = found.get(id).map(|insert| insert.clone().freeze(&values).0);
        copy.ok_or(ConversationError::InsertUnknown { insert: *id })
    };
    ids.iter().map(copy).collect()
}
