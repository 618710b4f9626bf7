//! A channel's settings change, or it is deleted.

use frontdesk_api::FieldError;
use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::Greeter,
    error::ConversationError,
    store::{
        bots, channels,
        entity::{self, channels::Model},
    },
};

/// None: as it is.
pub(crate) struct UpdateChannel {
    pub channel: Uuid,
    pub name: Option<String>,
    pub greeter: Option<Greeter>,
    /// The bot as its service knows it now.
    pub bot: Option<entity::bots::Model>,
    pub transcript_enabled: Option<bool>,
    /// Some(None): the account's fallback.
    pub transcript_sender_id: Option<Option<Uuid>>,
    pub time_zone: Option<String>,
    /// Empty: whatever happened.
    pub etag: String,
}

pub(crate) async fn update_channel(
    app: &App,
    caller: &Caller,
    command: UpdateChannel,
) -> Result<Model, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, command.channel).await?;
    let mut channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if channel.deleted {
        return Err(ConversationError::ChannelDeleted);
    }
    if !command.etag.is_empty() && command.etag != channel.version.to_string() {
        return Err(ConversationError::EtagMismatch);
    }

    let before = channel.clone();
    channel.name = command.name.unwrap_or(channel.name);
    channel.greeter = command.greeter.unwrap_or(channel.greeter);
    channel.bot_id = command.bot.as_ref().map_or(channel.bot_id, |bot| Some(bot.id));
    channel.transcript_enabled = command.transcript_enabled.unwrap_or(channel.transcript_enabled);
    channel.transcript_sender_id = command.transcript_sender_id.unwrap_or(channel.transcript_sender_id);
    channel.time_zone = command.time_zone.unwrap_or(channel.time_zone);
    match (channel.greeter, channel.bot_id) {
        (Greeter::Bot, None) => {
            return Err(ConversationError::Fields(vec![FieldError::new(
                "bot_id",
                "must name the bot when a bot greets",
            )]));
        }
        (Greeter::Bot, Some(_)) => {}
        (Greeter::Routing | Greeter::Nobody, _) => channel.bot_id = None,
    }
    if let Some(bot) = command.bot {
        bots::keep(&tx, bot).await?;
    }
    if channel != before {
        channels::save(&mut tx, &mut channel).await?;
    }
    tx.commit().await?;
    Ok(channel)
}

/// Deletes: no conversation begins on it any more.
pub(crate) async fn delete_channel(app: &App, caller: &Caller, id: Uuid) -> Result<Model, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, id).await?;
    let mut channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if !channel.deleted {
        channel.deleted = true;
        channels::save(&mut tx, &mut channel).await?;
        tx.commit().await?;
    }
    Ok(channel)
}
