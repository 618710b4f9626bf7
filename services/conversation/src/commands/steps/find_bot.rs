//! The bot that a channel names.

use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use crate::{App, bot_session, domain::Bot, error::ConversationError};

/// The bot as its own service has it now: a channel must not name a bot that does not exist or was deleted.
pub(crate) async fn find_bot(app: &App, account: AccountId, id: Uuid) -> Result<Bot, ConversationError> {
    match bot_session::get_bot(app, account, id).await {
        Ok(bot) if bot.deleted => Err(ConversationError::BotUnknown),
        Ok(bot) => Ok(bot),
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::BotUnknown),
        Err(_) => Err(ConversationError::Unreachable("bot-session")),
    }
}
