//! Edits a bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Bot, BotChange},
    error::BotSessionError,
    store,
};

/// The edit of a bot.
#[derive(Debug)]
pub(crate) struct UpdateBot {
    pub(crate) id: Uuid,
    pub(crate) change: BotChange,
    /// The bot's etag as the caller read it. Empty: edit the bot unconditionally.
    pub(crate) etag: String,
}

/// Edits a bot, also a deleted one. Its open sessions keep the flow and the timeout they began with (rule B2). An edit
/// that changes nothing succeeds whatever its etag, and appends no event (rule C12).
pub(crate) async fn update_bot(app: &App, caller: &Caller, command: UpdateBot) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, command.id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.update(command.change, &command.etag, tx.now().await?)? {
        store::bots::save(&tx, &bot).await?;
        store::events::append_bot_updated(&mut tx, &bot).await?;
    }

    tx.commit().await?;
    Ok(bot)
}
