//! The state of a bot is applied to the local copy (rule B1).

use frontdesk_auth::Caller;

use crate::{App, domain::Bot, error::ConversationError, store::bots};

/// Commits the state, unless the copy is newer, and returns the version of the copy: every chat that begins later starts by it.
pub(crate) async fn apply_bot(app: &App, caller: &Caller, bot: Bot) -> Result<i64, ConversationError> {
    let id = bot.id;
    let tx = app.db.begin_for(caller.account).await?;
    bots::save(&tx, bot).await?;
    let copy = bots::find(tx.conn(), caller.account, id).await?;
    tx.commit().await?;
    Ok(copy.map_or(0, |copy| copy.version))
}
