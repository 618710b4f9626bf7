//! Editing an agent.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, AgentChange},
    error::AssignmentError,
    store,
};

/// An edit of an agent.
#[derive(Debug)]
pub(crate) struct UpdateAgent {
    pub(crate) id: Uuid,
    pub(crate) change: AgentChange,
    /// The etag that the caller read. Empty: edit unconditionally.
    pub(crate) etag: String,
}

/// Edits an agent. An edit whose content is there already changes nothing and publishes no event, whatever its etag (rule C12).
pub(crate) async fn update_agent(app: &App, caller: &Caller, command: UpdateAgent) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent = store::agents::find_for_update(&tx, caller.account, command.id)
        .await?
        .ok_or(AssignmentError::NotFound("agent"))?;

    if agent.update(command.change, &command.etag, tx.now().await?)? {
        store::agents::save(&tx, &agent).await?;
        store::events::append_agent_updated(&mut tx, &agent).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    Ok(agent)
}
