//! Deletes a bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Bot, error::BotSessionError, store};

/// Deletes a bot; its open sessions continue. Deleting a deleted bot changes nothing.
pub(crate) async fn delete_bot(app: &App, caller: &Caller, id: Uuid) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.delete(tx.now().await?) {
        store::bots::save(&tx, &bot).await?;
        store::events::append_bot_deleted(&mut tx, &bot).await?;
    }

    tx.commit().await?;
    Ok(bot)
}
