//! Keeps the local copy of bots: what sessions start with.

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{BotCreated, BotDeleted, BotUndeleted, BotUpdated, Event};
use prost::Name;
use sea_orm::DbErr;

use super::not_answered;
use crate::{App, bot_session, domain::Bot, store::bots};

pub(crate) struct Bots(pub(crate) App);

impl Bots {
    async fn save(&self, bot: Bot) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        bots::save(&tx, bot).await?;
        tx.commit().await
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
        vec![BotCreated::full_name(), BotUpdated::full_name(), BotDeleted::full_name(), BotUndeleted::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let ids = account_id(event).and_then(|account| Ok((account, uuid("aggregate_id", &event.aggregate_id)?)));
        let (account, id) = match ids {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match bot_session::get_bot(&self.0, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(bot) => self.save(bot).await.into(),
            Err(status) => not_answered(&status),
        }
    }
}
