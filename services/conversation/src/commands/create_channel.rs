//! A channel is created.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{find_bot, require_active_caller, require_known_caller, require_sender};
use crate::{
    App,
    domain::{AnonymousVisitors, Bot, Channel},
    error::ConversationError,
    store::{bots, channels},
};

pub(crate) struct CreateChannel {
    pub(crate) name: String,
    pub(crate) website_url: String,
    /// The bot that conversations start with. None: they start unassigned.
    pub(crate) bot: Option<Uuid>,
    pub(crate) transcript_enabled: bool,
    pub(crate) transcript_sender_id: Option<Uuid>,
    pub(crate) time_zone: String,
    pub(crate) anonymous_visitors: Option<AnonymousVisitors>,
    pub(crate) key: Key,
}

pub(crate) async fn create_channel(
    app: &App,
    caller: &Caller,
    command: CreateChannel,
) -> Result<Channel, ConversationError> {
    require_known_caller(app, caller).await?;
    let bot = check_unless_repeated(app, caller, &command).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim(&tx).await? {
        return channels::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("channel"));
    }

    require_active_caller(&tx, caller).await?;
    if let Some(bot) = bot {
        bots::save(&tx, bot).await?;
    }
    let now = tx.now().await?;
    let channel = Channel {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        website_url: command.website_url,
        bot_id: command.bot,
        transcript_enabled: command.transcript_enabled,
        transcript_sender_id: command.transcript_sender_id,
        time_zone: command.time_zone,
        anonymous_visitors: command.anonymous_visitors,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    channels::insert(&mut tx, &channel).await?;
    command.key.store_result(&tx, &channel.id).await?;
    tx.commit().await?;
    Ok(channel)
}

/// Checks that bot and sender address exist; returns the bot. A repeat gets the first answer, also when they were deleted since,
/// so it does not ask.
async fn check_unless_repeated(
    app: &App,
    caller: &Caller,
    command: &CreateChannel,
) -> Result<Option<Bot>, ConversationError> {
    if command.bot.is_none() && command.transcript_sender_id.is_none() {
        return Ok(None);
    }
    let read = app.db.read_for(caller.account).await?;
    let is_repeat = command.key.find::<Uuid>(&read.conn()).await?.is_some();
    // The read ends before another service is asked.
    drop(read);
    if is_repeat {
        return Ok(None);
    }
    if let Some(sender) = command.transcript_sender_id {
        require_sender(app, caller.account, sender).await?;
    }
    match command.bot {
        Some(bot) => find_bot(app, caller.account, bot).await.map(Some),
        None => Ok(None),
    }
}
