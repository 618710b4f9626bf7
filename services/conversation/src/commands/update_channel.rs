//! A channel's settings change.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{ChannelReferences, require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{Channel, ChannelChange, ChannelUpdate},
    error::ConversationError,
    store::channels,
};

pub(crate) struct UpdateChannel {
    pub(crate) channel: Uuid,
    pub(crate) update: ChannelUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
}

pub(crate) async fn update_channel(
    app: &App,
    caller: &Caller,
    command: UpdateChannel,
) -> Result<Channel, ConversationError> {
    require_known_caller(app, caller).await?;
    let named = ChannelReferences {
        bot: command.update.bot_id.flatten(),
        sender: command.update.transcript_sender_id.flatten(),
        opening_hours: command.update.opening_hours_id.flatten(),
        routing_policies: [command.update.routing_policy_id.flatten(), command.update.hand_off_policy_id.flatten()],
    };
    if !named.is_empty() {
        let read = app.db.read_for(caller.account).await?;
        let channel = channels::find(&read.conn(), caller.account, command.channel).await?;
        // The read ends before another service is asked.
        drop(read);
        let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
        if updated(&channel, &command)?.is_none() {
            return Ok(channel);
        }
    }
    let copies = named.find(app, caller.account).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, command.channel).await?;
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    let Some(mut updated) = updated(&channel, &command)? else { return Ok(channel) };
    require_active_caller(&tx, caller).await?;
    copies.save(&tx).await?;
    let now = tx.now().await?;
    channels::save(&mut tx, &mut updated, ChannelChange::Updated, now).await?;
    tx.commit().await?;
    Ok(updated)
}

/// The channel after the update. None: it has the requested content already, whatever the etag.
fn updated(channel: &Channel, command: &UpdateChannel) -> Result<Option<Channel>, ConversationError> {
    if channel.is_deleted() {
        return Err(ConversationError::ChannelDeleted);
    }
    let updated = channel.updated(command.update.clone());
    if updated.is_some() && !command.etag.is_empty() && command.etag != channel.etag() {
        return Err(ConversationError::EtagMismatch("channel"));
    }
    Ok(updated)
}
