//! Deletes a bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{apply_to_conversations, require_active_caller};
use crate::{App, domain::Bot, error::BotSessionError, store};

/// Deletes a bot; its open sessions continue. It returns after the conversation service starts no chat with it; when that service
/// cannot be reached, the bot is deleted all the same, and a repeat of the call, which changes nothing else, asks it again.
pub(crate) async fn delete_bot(app: &App, caller: &Caller, id: Uuid) -> Result<Bot, BotSessionError> {
    require_active_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.delete(tx.now().await?) {
        store::bots::save(&tx, &bot).await?;
        store::events::append_bot_deleted(&mut tx, &bot).await?;
        app.bot_signals.wake_on_commit(&mut tx, bot.summary.account, bot.summary.id);
    }

    tx.commit().await?;
    apply_to_conversations(app, caller, bot).await
}
