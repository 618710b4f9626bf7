//! The team adds an insert to the library (rule C6).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{Insert, InsertContent},
    error::ConversationError,
    store::inserts,
};

pub(crate) struct CreateInsert {
    pub(crate) shortcut: String,
    pub(crate) title: String,
    pub(crate) tags: Vec<String>,
    pub(crate) content: InsertContent,
    pub(crate) key: Key,
}

pub(crate) async fn create_insert(
    app: &App,
    caller: &Caller,
    command: CreateInsert,
) -> Result<Insert, ConversationError> {
    require_known_caller(app, caller).await?;
    match try_create(app, caller, &command).await {
        Err(ConversationError::Db(error)) if inserts::is_shortcut_raced(&error) => {
            try_create(app, caller, &command).await
        }
        result => result,
    }
}

async fn try_create(app: &App, caller: &Caller, command: &CreateInsert) -> Result<Insert, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        return inserts::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("insert"));
    }

    require_active_caller(&tx, caller).await?;
    let now = tx.now().await?;
    let insert = Insert {
        id: tx.new_id(),
        account: caller.account,
        shortcut: command.shortcut.clone(),
        title: command.title.clone(),
        tags: command.tags.clone(),
        content: command.content.clone(),
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    if let Some(other) = inserts::insert(&mut tx, &insert).await? {
        return Err(ConversationError::ShortcutTaken { insert: other });
    }
    command.key.store_result(&tx, &insert.id).await?;
    tx.commit().await?;
    Ok(insert)
}
