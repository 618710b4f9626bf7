//! The roster's state of an agent is applied to the local copy (rules A2, C11).

use frontdesk_auth::Caller;

use crate::{App, domain::Agent, error::ConversationError, store::agents};

/// Commits the state before it returns, unless the copy is as new or newer: every post that begins later is decided by it.
pub(crate) async fn apply_agent(app: &App, caller: &Caller, agent: Agent) -> Result<(), ConversationError> {
    let tx = app.db.begin_for(caller.account).await?;
    agents::save(&tx, agent).await?;
    tx.commit().await?;
    Ok(())
}
