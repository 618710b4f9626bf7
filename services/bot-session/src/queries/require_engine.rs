//! Whether a bot is a program of the customer's.

use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{App, domain::Program, error::BotSessionError, store};

/// Requires that a program takes the bot's turns: the bot has an engine and is not deleted, or sessions that began when it was so are
/// open, because a session keeps what it began with (rule B2). `NotFound`: the account has no such bot.
pub(crate) async fn require_engine(app: &App, account: AccountId, bot: Uuid) -> Result<(), BotSessionError> {
    let read = app.db.read_for(account).await?;
    let found = store::bots::find(&read.conn(), account, bot).await?.ok_or(BotSessionError::NotFound("bot"))?;
    let is_deleted = found.summary.deleted_at.is_some();
    if !is_deleted && matches!(found.program, Program::Engine(_)) {
        return Ok(());
    }
    let versions = store::flows::list_engine_versions(&read.conn(), account, bot).await?;
    if store::sessions::has_open_of_versions(&read.conn(), account, bot, &versions).await? {
        return Ok(());
    }
    Err(if is_deleted { BotSessionError::BotDeleted } else { BotSessionError::BotHasFlow })
}
