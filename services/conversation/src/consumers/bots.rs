//! Bots: what sessions begin with.

use frontdesk_bus::{Consumer, Outcome};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{Bot, GetBotRequest, bot_service_client::BotServiceClient},
    event::v1::{BotCreated, BotDeactivated, BotUpdated, Event},
};
use prost::Name;

use super::{account, unanswered};
use crate::{
    App,
    error::ConversationError,
    store::{bots, entity::bots::Model},
};

/// Keeps bots' names and timeouts.
pub(crate) struct Bots(pub App);

/// What this service keeps of a bot, as the bot's service tells it.
pub(crate) fn known_bot(account: AccountId, bot: &Bot) -> Option<Model> {
    Some(Model {
        account_id: account,
        id: bot.id.parse().ok()?,
        name: bot.name.clone(),
        timeout_us: bot
            .inactivity_timeout
            .map(|timeout| timeout.seconds * 1_000_000 + i64::from(timeout.nanos) / 1_000),
        deleted: bot.deleted,
        version: bot.etag.parse().ok()?,
    })
}

impl Bots {
    async fn keep(&self, account: AccountId, bot: &Bot) -> Result<(), ConversationError> {
        let Some(bot) = known_bot(account, bot) else { return Ok(()) };
        let tx = self.0.db.begin().await?;
        bots::keep(&tx, bot).await?;
        Ok(tx.commit().await?)
    }
}

#[async_trait::async_trait]
impl Consumer for Bots {
    fn name(&self) -> &'static str {
        "conversation.bots"
    }

    fn source(&self) -> &'static str {
        "bot-session"
    }

    fn types(&self) -> Vec<String> {
        vec![BotCreated::full_name(), BotUpdated::full_name(), BotDeactivated::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let account = match account(event) {
            Ok(account) => account,
            Err(outcome) => return outcome,
        };
        let mut bots = BotServiceClient::new(self.0.bot_session.for_account(account));
        match bots.get_bot(GetBotRequest { bot_id: event.aggregate_id.clone() }).await {
            // The version decides, so that a repeat or an older answer changes nothing.
            Ok(answer) => match answer.into_inner().bot {
                Some(bot) => self.keep(account, &bot).await.into(),
                None => Outcome::DeadLetter("the answer holds no bot".into()),
            },
            Err(status) => unanswered(&status),
        }
    }
}
