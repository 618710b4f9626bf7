//! One insert, deleted or not.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Insert, error::ConversationError, store::inserts};

pub(crate) async fn get_insert(app: &App, caller: &Caller, id: Uuid) -> Result<Insert, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let insert = inserts::find(&read.conn(), caller.account, id).await?;
    insert.ok_or(ConversationError::NotFound("insert"))
}
