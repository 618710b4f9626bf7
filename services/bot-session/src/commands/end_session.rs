//! Ends a session that the conversation's row has ended (rules A3, B4, B8).

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::steps::end_turns;
use crate::{App, domain::SessionStatus, error::BotSessionError, store};

/// Ends the session with this status. A session that ended before keeps its first end.
pub(crate) async fn end_session(
    app: &App,
    account: AccountId,
    id: Uuid,
    status: SessionStatus,
) -> Result<(), BotSessionError> {
    let mut tx = app.db.begin().await?;
    let mut session =
        store::sessions::find_for_update(&tx, account, id).await?.ok_or(BotSessionError::NotFound("bot session"))?;

    if session.end(status, tx.now().await?) {
        store::sessions::save(&tx, &session).await?;
        store::events::append_bot_session_ended(&mut tx, &session).await?;
        end_turns(app, &mut tx, std::slice::from_ref(&session)).await?;
        app.session_signals.wake_on_commit(&mut tx, account, id);
    }

    tx.commit().await?;
    Ok(())
}
