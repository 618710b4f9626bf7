//! Deleting a bot.

use frontdesk_auth::Caller;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotDeactivated;
use uuid::Uuid;

use super::bot_aggregate;
use crate::{App, domain::Bot, error::BotSessionError, store};

/// Deletes a bot; open sessions go on, and deleting twice changes nothing.
pub(crate) async fn delete_bot(app: &App, caller: &Caller, id: Uuid) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.delete() {
        store::bots::save(&tx, &bot).await?;
        append(&mut tx, bot_aggregate(&bot), &BotDeactivated { bot_id: bot.id.to_string() }).await?;
    }

    tx.commit().await?;
    Ok(bot)
}
