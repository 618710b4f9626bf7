//! Asking the bot-session service, which owns the bots.

use frontdesk_db::AccountId;
use frontdesk_proto::botsession::v1::{
    self as pb, GetBotRequest, bot::Inactivity, bot_service_client::BotServiceClient,
};
use tonic::Status;
use uuid::Uuid;

use crate::{App, domain::Bot};

/// The bot, as its service has it now.
pub(crate) async fn get_bot(app: &App, account: AccountId, id: Uuid) -> Result<Bot, Status> {
    let mut bots = BotServiceClient::new(app.bot_session.for_account(account));
    let response = bots.get_bot(GetBotRequest { bot_id: id.to_string() }).await?.into_inner();
    response.bot.and_then(|bot| read(account, bot)).ok_or_else(|| Status::internal("the answer holds no bot"))
}

fn read(account: AccountId, bot: pb::Bot) -> Option<Bot> {
    Some(Bot {
        account,
        id: bot.id.parse().ok()?,
        name: bot.name,
        timeout: match bot.inactivity {
            Some(Inactivity::InactivityTimeout(timeout)) => timeout.try_into().ok(),
            Some(Inactivity::NoTimeout(_)) | None => None,
        },
        deleted: bot.delete_time.is_some(),
        version: bot.version.into(),
    })
}
