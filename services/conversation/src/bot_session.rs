//! Asking the bot-session service, which owns the bots and their sessions.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, AccountRows};
use frontdesk_proto::botsession::{
    internal::v1::{ListAccountRowsRequest, account_row_service_client::AccountRowServiceClient},
    v1::{
        self as pb, GetBotRequest, ListBotSessionsRequest, bot::Inactivity, bot_service_client::BotServiceClient,
        bot_session_service_client::BotSessionServiceClient,
    },
};
use serde_json::json;
use tonic::Status;
use uuid::Uuid;

use crate::{
    App,
    domain::{Bot, RecordPage, record_time},
};

/// Number of sessions that are asked for at once.
const PAGE_SIZE: i32 = 200;

/// The bot, as its service has it now.
pub(crate) async fn get_bot(app: &App, account: AccountId, id: Uuid) -> Result<Bot, Status> {
    let mut bots = BotServiceClient::new(app.bot_session.for_account(account));
    let response = bots.get_bot(GetBotRequest { bot_id: id.to_string() }).await?.into_inner();
    response.bot.and_then(|bot| read(account, bot)).ok_or_else(|| Status::internal("the answer holds no bot"))
}

/// A page of the sessions of bots with the conversation, as records of an export.
pub(crate) async fn list_bot_sessions(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    page_token: String,
) -> Result<RecordPage, Status> {
    let mut sessions = BotSessionServiceClient::new(app.bot_session.for_account(account));
    let request = ListBotSessionsRequest {
        conversation_id: conversation.to_string(),
        page_size: PAGE_SIZE,
        page_token,
        ..ListBotSessionsRequest::default()
    };
    let response = sessions.list_bot_sessions(request).await?.into_inner();
    let record = |session: &pb::BotSession| {
        json!({
            "record": "bot_session",
            "bot_session_id": session.id,
            "bot_id": session.bot_id,
            "conversation_id": session.conversation_id,
            "status": session.status().as_str_name().trim_start_matches("BOT_SESSION_STATUS_"),
            "step_id": session.step_id,
            "start_time": session.start_time.as_ref().map(Time::from_proto).map(record_time),
            "end_time": session.end_time.as_ref().map(Time::from_proto).map(record_time),
        })
    };
    let records = response.bot_sessions.iter().map(record).collect();
    Ok(RecordPage { records, next_page_token: response.next_page_token })
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

/// A page of all that the service stores of the account, as records of an export.
pub(crate) async fn list_account_rows(app: &App, account: AccountId, cursor: String) -> Result<AccountRows, Status> {
    let mut rows = AccountRowServiceClient::new(app.bot_session.for_account(account));
    let page = rows.list_account_rows(ListAccountRowsRequest { cursor }).await?.into_inner();
    Ok(AccountRows { records: page.records, next_cursor: page.next_cursor })
}
