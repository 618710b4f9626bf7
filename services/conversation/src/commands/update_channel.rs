//! A channel's settings change.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::find_bot;
use crate::{
    App,
    domain::{Channel, ChannelUpdate, Greeter, WrongBot},
    error::ConversationError,
    store::{bots, channels},
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
    let bot = match command.update.bot_id {
        Some(_) if matches!(command.update.greeter, Some(Greeter::Routing | Greeter::Nobody)) => {
            return Err(WrongBot::Superfluous.into());
        }
        Some(bot) => Some(find_bot(app, caller.account, bot).await?),
        None => None,
    };
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find_for_update(&tx, caller.account, command.channel).await?;
    let mut channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if channel.deleted {
        return Err(ConversationError::ChannelDeleted);
    }
    if !command.etag.is_empty() && command.etag != channel.etag() {
        return Err(ConversationError::EtagMismatch);
    }

    let has_changed = channel.update(command.update)?;
    if let Some(bot) = bot {
        bots::save(&tx, bot).await?;
    }
    if has_changed {
        channels::save(&mut tx, &mut channel).await?;
    }
    tx.commit().await?;
    Ok(channel)
}
