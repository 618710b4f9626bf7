//! A channel gets a new key for its visitor tokens.

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::VisitorKey,
    error::ConversationError,
    store::{channels, visitor_keys},
};

pub(crate) struct RotateVisitorKey {
    pub(crate) channel: Uuid,
    /// How long the keys before stay active.
    pub(crate) keep_previous: Duration,
    pub(crate) key: Key,
}

/// Returns the new key with its secret, which is derived and stored nowhere.
pub(crate) async fn rotate_visitor_key(
    app: &App,
    caller: &Caller,
    command: RotateVisitorKey,
) -> Result<(VisitorKey, String), ConversationError> {
    require_known_caller(app, caller).await?;
    let tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, command.channel).await?;
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if let Some(number) = command.key.claim::<i32>(&tx).await? {
        let first = visitor_keys::find(tx.conn(), caller.account, channel.id, number).await?;
        return with_secret(app, first.ok_or(ConversationError::NotFound("key"))?);
    }
    if channel.is_deleted() {
        return Err(ConversationError::ChannelDeleted);
    }

    require_active_caller(&tx, caller).await?;
    let now = tx.now().await?;
    let newest = visitor_keys::find_newest(tx.conn(), caller.account, channel.id).await?;
    visitor_keys::end_active(&tx, caller.account, channel.id, now.plus(command.keep_previous)).await?;
    let key = VisitorKey {
        channel_id: channel.id,
        number: newest.map_or(1, |newest| newest.number + 1),
        account: caller.account,
        secret_id: app.installation_secret.current_id().to_owned(),
        created_at: now,
        ends_at: None,
    };
    visitor_keys::insert(&tx, &key).await?;
    command.key.store_result(&tx, &key.number).await?;
    tx.commit().await?;
    with_secret(app, key)
}

fn with_secret(app: &App, key: VisitorKey) -> Result<(VisitorKey, String), ConversationError> {
    let secret = app.installation_secret.derive(&key.secret_id, key.account, key.channel_id, key.number);
    // A repeat can come after the installation's secret was replaced: its secret cannot be derived any more.
    Ok((key, secret.ok_or(ConversationError::RequestIdReused)?))
}
