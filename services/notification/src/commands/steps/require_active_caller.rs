//! The calling agent.

use frontdesk_auth::{Caller, CallerKind};

use crate::{App, assignment::AgentState, error::NotificationError};

/// Requires of a calling agent that they are on the roster and active, which the assignment service decides. Tokens are not
/// revoked: the deactivation of an agent is what ends their mails. Other callers are not on a roster.
pub(crate) async fn require_active_caller(app: &App, caller: &Caller) -> Result<(), NotificationError> {
    if caller.actor.kind != CallerKind::Agent {
        return Ok(());
    }
    let id = caller.agent_id().ok_or(NotificationError::AgentUnknown)?;
    match app.assignment.get_agent_state(caller.account, id).await {
        Ok(AgentState::Active) => Ok(()),
        Ok(AgentState::Deactivated) => Err(NotificationError::AgentDeactivated),
        Ok(AgentState::Unknown) => Err(NotificationError::AgentUnknown),
        Err(status) => Err(NotificationError::AssignmentUnavailable(status.message().to_owned())),
    }
}
