//! Undoes the deletion of a bot.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{apply_to_conversations, require_active_caller};
use crate::{App, domain::Bot, error::BotSessionError, store};

/// Undeletes a bot: it starts sessions again, from the return on. Undeleting a bot that is not deleted changes nothing.
pub(crate) async fn undelete_bot(app: &App, caller: &Caller, id: Uuid) -> Result<Bot, BotSessionError> {
    require_active_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.undelete(tx.now().await?) {
        store::bots::save(&tx, &bot).await?;
        store::events::append_bot_undeleted(&mut tx, &bot).await?;
    }

    tx.commit().await?;
    apply_to_conversations(app, caller, bot).await
}
