//! The turns of sessions that end are over: a stream of the bot's program has room for the next ones.

use std::collections::HashSet;

use frontdesk_db::Tx;
use sea_orm::DbErr;

use crate::{App, domain::Session, store};

/// Ends the open turns of sessions that have ended.
pub(crate) async fn end_turns(app: &App, tx: &mut Tx, ended: &[Session]) -> Result<(), DbErr> {
    if store::engine_turns::end_of_sessions(tx, ended).await? {
        let bots: HashSet<_> = ended.iter().map(|session| (session.account, session.bot)).collect();
        for (account, bot) in bots {
            app.turn_signals.wake_on_commit(tx, account, bot);
        }
    }
    Ok(())
}
