//! The team edits an insert; messages that were posted with it stay as they are (rule C6).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{Insert, InsertChange, InsertUpdate},
    error::ConversationError,
    store::inserts,
};

pub(crate) struct UpdateInsert {
    pub(crate) insert: Uuid,
    pub(crate) update: InsertUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
}

pub(crate) async fn update_insert(
    app: &App,
    caller: &Caller,
    command: UpdateInsert,
) -> Result<Insert, ConversationError> {
    require_known_caller(app, caller).await?;
    match try_update(app, caller, &command).await {
        Err(ConversationError::Db(error)) if inserts::is_shortcut_raced(&error) => {
            try_update(app, caller, &command).await
        }
        result => result,
    }
}

async fn try_update(app: &App, caller: &Caller, command: &UpdateInsert) -> Result<Insert, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let insert = inserts::find_for_update(&tx, caller.account, command.insert).await?;
    let insert = insert.ok_or(ConversationError::NotFound("insert"))?;
    if insert.is_deleted() {
        return Err(ConversationError::InsertDeleted);
    }
    let Some(mut updated) = insert.updated(command.update.clone()) else { return Ok(insert) };
    if !command.etag.is_empty() && command.etag != insert.etag() {
        return Err(ConversationError::EtagMismatch("insert"));
    }

    require_active_caller(&tx, caller).await?;
    let now = tx.now().await?;
    if let Some(other) = inserts::save(&mut tx, &mut updated, InsertChange::Updated, now).await? {
        return Err(ConversationError::ShortcutTaken { insert: other });
    }
    tx.commit().await?;
    Ok(updated)
}
