//! Undoing the deactivation of an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::apply_to_conversations;
use crate::{App, domain::Agent, error::AssignmentError, store};

/// Reactivates an agent. It returns after the conversation service accepts their messages; when that service cannot be reached,
/// the agent is active all the same, and a repeat of the call, which changes nothing else, asks it again.
pub(crate) async fn reactivate_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent =
        store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;

    if agent.reactivate(tx.now().await?) {
        store::agents::save(&tx, &agent).await?;
        store::events::append_agent_reactivated(&mut tx, &agent).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    apply_to_conversations(app, caller, agent).await
}
