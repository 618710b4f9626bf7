//! The bot that calls.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, error::BotSessionError, store};

/// Returns the id of the calling bot. `NotFound`: the account has no bot with the id of the token.
pub(crate) async fn get_calling_bot(app: &App, caller: &Caller) -> Result<Uuid, BotSessionError> {
    let id = caller.bot_id().ok_or(BotSessionError::NotFound("bot"))?;
    let read = app.db.read_for(caller.account).await?;
    let bot = store::bots::find(&read.conn(), caller.account, id).await?;
    bot.map(|bot| bot.summary.id).ok_or(BotSessionError::NotFound("bot"))
}
