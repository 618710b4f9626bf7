//! A channel gets a new key for its visitor tokens.

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    error::ConversationError,
    store::{channels, entity::visitor_keys::Model, visitor_keys},
};

pub(crate) struct RotateVisitorKey {
    pub channel: Uuid,
    /// The keys before stay good for so long.
    pub keep_previous: Duration,
    pub key: Key,
}

/// The key; its secret is derived, and not stored.
pub(crate) async fn rotate_visitor_key(
    app: &App,
    caller: &Caller,
    command: RotateVisitorKey,
) -> Result<Model, ConversationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, command.channel).await?;
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if let Some(number) = command.key.claim::<i32>(&tx).await? {
        let first = visitor_keys::find(tx.conn(), caller.account, channel.id, number).await?;
        return first.ok_or(ConversationError::NotFound("key"));
    }
    if channel.deleted {
        return Err(ConversationError::ChannelDeleted);
    }

    let now = tx.now().await?;
    let newest = visitor_keys::find_newest(tx.conn(), caller.account, channel.id).await?;
    visitor_keys::end(&tx, caller.account, channel.id, now.plus(command.keep_previous)).await?;
    let key = Model {
        channel_id: channel.id,
        number: newest.map_or(1, |newest| newest.number + 1),
        account_id: caller.account,
        secret_id: app.installation_secret.current_id().to_owned(),
        created_at: now,
        ends_at: None,
    };
    visitor_keys::insert(&tx, &key).await?;
    command.key.store_result(&tx, &key.number).await?;
    tx.commit().await?;
    Ok(key)
}
