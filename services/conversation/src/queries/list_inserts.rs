//! Inserts by title.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::Insert,
    error::ConversationError,
    store::inserts::{self, InsertFilter},
};

/// `after`: title and id of the last insert before.
pub(crate) async fn list_inserts(
    app: &App,
    caller: &Caller,
    filter: InsertFilter,
    after: Option<(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Insert>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(inserts::list(&read.conn(), caller.account, &filter, after, limit).await?)
}
