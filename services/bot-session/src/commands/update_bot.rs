//! Edits a bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_references, store_opening_hours};
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
    require_active_caller(app, caller).await?;
    let mut hours = Vec::new();
    if let Some(program) = command.change.program.as_ref().filter(|program| !program.references().is_empty())
        && changes_program(app, caller, &command).await?
    {
        hours = require_references(app, caller.account, program.references()).await?;
    }
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, command.id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.update(command.change, &command.etag, tx.now().await?)? {
        store::bots::save(&tx, &bot).await?;
        store_opening_hours(&tx, hours).await?;
        store::events::append_bot_updated(&mut tx, &bot).await?;
        app.bot_signals.wake_on_commit(&mut tx, bot.summary.account, bot.summary.id);
    }

    tx.commit().await?;
    Ok(bot)
}

/// Returns whether the edit changes the program of the bot as it is now. Fails where the edit would be rejected.
async fn changes_program(app: &App, caller: &Caller, command: &UpdateBot) -> Result<bool, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    let bot = store::bots::find(&read.conn(), caller.account, command.id).await?;
    // The read ends before another service is asked.
    drop(read);
    let bot = bot.ok_or(BotSessionError::NotFound("bot"))?;
    let mut edited = bot.clone();
    edited.update(command.change.clone(), &command.etag, bot.summary.updated_at)?;
    Ok(edited.program != bot.program)
}
