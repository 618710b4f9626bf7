//! The calling agent.

use frontdesk_auth::{Caller, CallerKind};

use crate::{
    App,
    assignment::{self, AgentState},
    error::BotSessionError,
};

/// Requires of a calling agent that they are on the roster and active, which the assignment service decides. Tokens are not
/// revoked: the deactivation of an agent is what ends their edits. Other callers are not on a roster.
pub(crate) async fn require_active_caller(app: &App, caller: &Caller) -> Result<(), BotSessionError> {
    if caller.actor.kind != CallerKind::Agent {
        return Ok(());
    }
    let id = caller.agent_id().ok_or(BotSessionError::CallerUnknown)?;
    match assignment::get_agent_state(&app.assignment, caller.account, id).await {
        Ok(AgentState::Active) => Ok(()),
        Ok(AgentState::Deactivated) => Err(BotSessionError::CallerDeactivated),
        Ok(AgentState::Unknown) => Err(BotSessionError::CallerUnknown),
        Err(status) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "the roster did not answer about an agent");
            Err(BotSessionError::RosterUnavailable)
        }
    }
}
