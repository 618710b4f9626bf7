//! An insert is deleted: no message is posted with it any more, and its shortcut is free.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{App, domain::Insert, error::ConversationError, store::inserts};

pub(crate) async fn delete_insert(app: &App, caller: &Caller, id: Uuid) -> Result<Insert, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let insert = inserts::find_for_update(&tx, caller.account, id).await?;
    let mut insert = insert.ok_or(ConversationError::NotFound("insert"))?;
    let now = tx.now().await?;
    if let Some(change) = insert.delete(now) {
        require_active_caller(&tx, caller).await?;
        // One that is deleted takes no shortcut.
        inserts::save(&mut tx, &mut insert, change, now).await?;
        tx.commit().await?;
    }
    Ok(insert)
}
