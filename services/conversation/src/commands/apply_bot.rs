//! The state of a bot is applied to the local copy (rule B1).

use frontdesk_auth::Caller;

use crate::{App, domain::Bot, error::ConversationError, store::bots};

/// Commits the state before it returns, unless the copy is as new or newer: every chat that begins later starts by it.
pub(crate) async fn apply_bot(app: &App, caller: &Caller, bot: Bot) -> Result<(), ConversationError> {
    let tx = app.db.begin_for(caller.account).await?;
    bots::save(&tx, bot).await?;
    tx.commit().await?;
    Ok(())
}
