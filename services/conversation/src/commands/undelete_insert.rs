//! A deletion of an insert is undone, unless another one has its shortcut meanwhile.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{App, domain::Insert, error::ConversationError, store::inserts};

pub(crate) async fn undelete_insert(app: &App, caller: &Caller, id: Uuid) -> Result<Insert, ConversationError> {
    require_known_caller(app, caller).await?;
    match try_undelete(app, caller, id).await {
        Err(ConversationError::Db(error)) if inserts::is_shortcut_raced(&error) => try_undelete(app, caller, id).await,
        result => result,
    }
}

async fn try_undelete(app: &App, caller: &Caller, id: Uuid) -> Result<Insert, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let insert = inserts::find_for_update(&tx, caller.account, id).await?;
    let mut insert = insert.ok_or(ConversationError::NotFound("insert"))?;
    if let Some(change) = insert.undelete() {
        require_active_caller(&tx, caller).await?;
        let now = tx.now().await?;
        if let Some(other) = inserts::save(&mut tx, &mut insert, change, now).await? {
            return Err(ConversationError::ShortcutTaken { insert: other });
        }
        tx.commit().await?;
    }
    Ok(insert)
}
