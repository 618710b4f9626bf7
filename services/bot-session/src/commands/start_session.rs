//! Giving a session a row here, once the conversation's row has made it (rule B1).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotSessionStarted;
use uuid::Uuid;

use super::session_aggregate;
use crate::{
    App,
    domain::{Session, Status, Timeout},
    error::BotSessionError,
    store,
};

/// What the conversation's row says of the session.
#[derive(Debug)]
pub(crate) struct StartSession {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    pub(crate) bot: Uuid,
    pub(crate) conversation: Uuid,
    pub(crate) timeout: Timeout,
    pub(crate) started_at: Time,
}

/// Keeps the session with the bot's flow as it is now; again changes nothing. A deleted bot goes on with the session that
/// the row has begun.
pub(crate) async fn start_session(app: &App, command: StartSession) -> Result<(), BotSessionError> {
    let mut tx = app.db.begin().await?;
    let bot =
        store::bots::find(tx.conn(), command.account, command.bot).await?.ok_or(BotSessionError::NotFound("bot"))?;
    let deadline = command.timeout.map(|timeout| command.started_at.plus(timeout));
    let session = Session {
        id: command.session,
        account: command.account,
        bot: bot.id,
        conversation: command.conversation,
        status: Status::Open,
        flow: bot.flow,
        step: None,
        last_sequence: 0,
        turn: 0,
        timeout: command.timeout,
        started_at: command.started_at,
        deadline_at: deadline,
        ask_at: deadline,
        ended_at: None,
        version: 1,
    };

    if store::sessions::insert(&tx, &session).await? {
        let event = BotSessionStarted {
            bot_session_id: session.id.to_string(),
            conversation_id: session.conversation.to_string(),
            bot_id: session.bot.to_string(),
        };
        append(&mut tx, session_aggregate(&session), &event).await?;
        let began = app.session_began.clone();
        tx.on_commit(move || began.notify_one());
    }

    tx.commit().await?;
    Ok(())
}
