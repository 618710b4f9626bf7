//! Undoing the deactivation of an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Agent, error::AssignmentError, store};

/// Reactivates an agent. A repeat changes nothing.
pub(crate) async fn reactivate_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent =
        store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;

    if agent.reactivate(tx.now().await?) {
        store::agents::save(&tx, &agent).await?;
        store::events::append_agent_reactivated(&mut tx, &agent).await?;
    }

    tx.commit().await?;
    Ok(agent)
}
