//! One agent.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Agent, error::AssignmentError, store};

/// Returns the agent, deactivated or not.
pub(crate) async fn get_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    store::agents::find(&read.conn(), caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))
}
