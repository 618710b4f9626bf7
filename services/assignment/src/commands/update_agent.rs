//! Editing an agent.

use frontdesk_auth::Caller;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::AgentUpdated;
use uuid::Uuid;

use super::create_agent::aggregate;
use crate::{
    App,
    domain::{Agent, AgentChange},
    error::AssignmentError,
    store,
};

/// What changes on whom.
#[derive(Debug)]
pub(crate) struct UpdateAgent {
    pub(crate) id: Uuid,
    pub(crate) change: AgentChange,
    /// Empty: whatever happened since it was read.
    pub(crate) etag: String,
}

/// Edits an agent; an edit that changes nothing is no event.
pub(crate) async fn update_agent(app: &App, caller: &Caller, command: UpdateAgent) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent = store::agents::find_for_update(&tx, caller.account, command.id)
        .await?
        .ok_or(AssignmentError::NotFound("agent"))?;

    if agent.update(command.change, &command.etag)? {
        store::agents::save(&tx, &agent).await?;
        append(&mut tx, aggregate(&agent), &AgentUpdated { agent_id: agent.id.to_string() }).await?;
    }

    tx.commit().await?;
    Ok(agent)
}
