//! Applying a bot's state to the copy by which the conversation service starts chats (rule B1).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, conversation, domain::Bot, error::BotSessionError, store};

/// Maximum number of attempts. One is enough, except while others change the bot and after a restore.
const MAX_ATTEMPTS: usize = 5;

/// Returns the bot after its state is in force at the conversation service.
///
/// The copy there is newer than the bot when it was changed meanwhile: then the state of now is applied. It is newer than all that
/// this service has after a restore to an older point in time: then the bot first gets a version above the copy's.
pub(crate) async fn apply_to_conversations(app: &App, caller: &Caller, mut bot: Bot) -> Result<Bot, BotSessionError> {
    for _ in 0..MAX_ATTEMPTS {
        let in_force = conversation::apply_bot(&app.conversation, &bot.summary).await?;
        if in_force <= bot.summary.version {
            return Ok(bot);
        }
        bot = overtake(app, caller, bot.summary.id, in_force).await?;
    }
    Err(BotSessionError::NotAppliedToConversations)
}

/// Returns the bot as it is now, under a version that is not below the copy's.
async fn overtake(app: &App, caller: &Caller, id: Uuid, copy: i64) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut bot =
        store::bots::find_for_update(&tx, caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"))?;
    if bot.summary.version < copy {
        tracing::warn!(bot_id = %id, version = bot.summary.version, copy, "the conversation service knows a newer version of a bot, as after a restore");
        bot.overtake(copy, tx.now().await?);
        store::bots::save(&tx, &bot).await?;
        match bot.summary.deleted_at {
            None => store::events::append_bot_undeleted(&mut tx, &bot).await?,
            Some(_) => store::events::append_bot_deleted(&mut tx, &bot).await?,
        }
        tx.commit().await?;
    }
    Ok(bot)
}
