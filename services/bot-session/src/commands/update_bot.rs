//! Editing a bot.

use frontdesk_auth::Caller;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotUpdated;
use uuid::Uuid;

use super::bot_aggregate;
use crate::{
    App,
    domain::{Bot, BotChange},
    error::BotSessionError,
    store,
};

/// What changes on which bot.
#[derive(Debug)]
pub(crate) struct UpdateBot {
    pub(crate) id: Uuid,
    pub(crate) change: BotChange,
    /// Empty: whatever happened since it was read.
    pub(crate) etag: String,
}

/// Edits a bot; open sessions keep what they began with, and an edit that changes nothing is no event.
pub(crate) async fn update_bot(app: &App, caller: &Caller, command: UpdateBot) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, command.id).await?.ok_or(BotSessionError::NotFound("bot"))?;

    if bot.update(command.change, &command.etag)? {
        store::bots::save(&tx, &bot).await?;
        append(&mut tx, bot_aggregate(&bot), &BotUpdated { bot_id: bot.id.to_string() }).await?;
    }

    tx.commit().await?;
    Ok(bot)
}
