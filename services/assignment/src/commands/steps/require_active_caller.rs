//! The calling agent.

use frontdesk_auth::{Caller, CallerKind};
use sea_orm::ConnectionTrait;

use crate::{domain::Agent, error::AssignmentError, store};

/// Requires of a calling agent that they are on the roster and active. Tokens are not revoked: the deactivation of an agent is
/// what ends their writes. Other callers are not on a roster.
pub(crate) async fn require_active_caller(conn: &impl ConnectionTrait, caller: &Caller) -> Result<(), AssignmentError> {
    if caller.actor.kind == CallerKind::Agent {
        find_active_caller(conn, caller).await?;
    }
    Ok(())
}

/// The calling agent, who must be on the roster and active.
pub(crate) async fn find_active_caller(conn: &impl ConnectionTrait, caller: &Caller) -> Result<Agent, AssignmentError> {
    let id = caller.agent_id().ok_or(AssignmentError::NotOnRoster)?;
    let agent = store::agents::find(conn, caller.account, id).await?.ok_or(AssignmentError::NotOnRoster)?;
    if agent.is_active() { Ok(agent) } else { Err(AssignmentError::CallerDeactivated) }
}
