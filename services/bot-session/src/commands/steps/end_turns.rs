//! The turns of sessions that end are over: a stream of the bot's program has room for the next ones.

use frontdesk_db::Tx;
use sea_orm::DbErr;

use crate::{App, domain::Session, store};

/// Ends the open turns of sessions that have ended.
pub(crate) async fn end_turns(app: &App, tx: &mut Tx, ended: &[Session]) -> Result<(), DbErr> {
    if store::engine_turns::end_of_sessions(tx, ended).await? {
        app.notify_turn_change(tx);
    }
    Ok(())
}
