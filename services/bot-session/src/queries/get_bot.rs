//! One bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Bot, error::BotSessionError, store};

/// Returns the bot, deleted or not. `NotFound`: the account has none with this id.
pub(crate) async fn get_bot(app: &App, caller: &Caller, id: Uuid) -> Result<Bot, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    store::bots::find(&read.conn(), caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))
}
