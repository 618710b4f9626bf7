//! Ending a session that the conversation's row has ended.

use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotSessionEnded;
use sea_orm::DbErr;
use uuid::Uuid;

use super::session_aggregate;
use crate::{
    App,
    domain::{Session, Status},
    error::BotSessionError,
    store,
};

/// Ends the session so; one that is over stays as it ended first.
pub(crate) async fn end_session(
    app: &App,
    account: AccountId,
    id: Uuid,
    status: Status,
) -> Result<(), BotSessionError> {
    let mut tx = app.db.begin().await?;
    let mut session =
        store::sessions::find_for_update(&tx, account, id).await?.ok_or(BotSessionError::NotFound("bot session"))?;

    let now = tx.now().await?;
    if session.end(status, now) {
        store::sessions::save(&tx, &session).await?;
        ended(&mut tx, &session).await?;
    }

    tx.commit().await?;
    Ok(())
}

/// Tells that the session has ended.
pub(crate) async fn ended(tx: &mut Tx, session: &Session) -> Result<(), DbErr> {
    let event = BotSessionEnded {
        bot_session_id: session.id.to_string(),
        conversation_id: session.conversation.to_string(),
        bot_id: session.bot.to_string(),
        outcome: session.status.outcome().into(),
    };
    append(tx, session_aggregate(session), &event).await
}
