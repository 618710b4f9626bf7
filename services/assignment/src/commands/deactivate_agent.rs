//! Taking an agent off the roster.

use frontdesk_auth::Caller;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::AgentDeactivated;
use uuid::Uuid;

use super::create_agent::aggregate;
use crate::{App, domain::Agent, error::AssignmentError, store};

/// Deactivates an agent; twice changes nothing.
pub(crate) async fn deactivate_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent =
        store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;

    if agent.deactivate() {
        store::agents::save(&tx, &agent).await?;
        append(&mut tx, aggregate(&agent), &AgentDeactivated { agent_id: agent.id.to_string() }).await?;
    }

    tx.commit().await?;
    Ok(agent)
}
