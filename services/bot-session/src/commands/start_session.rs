//! Starts the session that the conversation's row began (rule B1).

use crate::{
    App,
    domain::{NewSession, Session},
    error::BotSessionError,
    store,
};

/// Stores the session with the bot's current flow, even when the bot was deleted since. Starting it again changes
/// nothing.
pub(crate) async fn start_session(app: &App, new: NewSession) -> Result<(), BotSessionError> {
    let mut tx = app.db.begin().await?;
    let bot = store::bots::find(tx.conn(), new.account, new.bot).await?.ok_or(BotSessionError::NotFound("bot"))?;

    let session = Session::start(new);
    if store::sessions::insert(&tx, &session, &bot.flow).await? {
        store::events::append_bot_session_started(&mut tx, &session).await?;
        let session_started = app.session_started.clone();
        tx.on_commit(move || session_started.notify_one());
    }

    tx.commit().await?;
    Ok(())
}
