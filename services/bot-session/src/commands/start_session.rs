//! Starts the session that the conversation's row began (rule B1).

use sea_orm::DbErr;

use crate::{
    App,
    domain::{NewSession, Session},
    store,
};

/// Stores the session with the bot's current flow, even when the bot was deleted since. Starting it again changes
/// nothing. A session whose bot does not exist is stored too: its first turn hands the chat to the team.
pub(crate) async fn start_session(app: &App, new: NewSession) -> Result<(), DbErr> {
    let mut tx = app.db.begin().await?;
    let flow_version = store::flows::ensure_current(&tx, new.account, new.bot).await?;

    let reminder = match flow_version {
        Some(version) => store::flows::find_reminder(tx.conn(), new.account, new.bot, version).await?,
        None => None,
    };
    let session = Session::start(new, flow_version, reminder.map(|reminder| reminder.before_end));
    if store::sessions::insert(&tx, &session).await? {
        store::events::append_bot_session_started(&mut tx, &session).await?;
        let session_started = app.session_started.clone();
        tx.on_commit(move || session_started.notify_one());
    }

    tx.commit().await
}
