//! The roster's state of an agent is applied to the local copy (rules A2, C11).

use frontdesk_auth::Caller;

use crate::{App, domain::Agent, error::ConversationError, store::agents};

/// Commits the state, unless the copy is newer, and returns the version of the copy: every post that begins later is decided by it.
pub(crate) async fn apply_agent(app: &App, caller: &Caller, agent: Agent) -> Result<i64, ConversationError> {
    let id = agent.id;
    let tx = app.db.begin_for(caller.account).await?;
    agents::save(&tx, agent).await?;
    let copy = agents::find(tx.conn(), caller.account, id).await?;
    tx.commit().await?;
    Ok(copy.and_then(|copy| copy.roster).map_or(0, |roster| roster.version))
}
