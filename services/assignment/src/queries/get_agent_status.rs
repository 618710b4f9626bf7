//! Whether an agent is available, and how many open conversations they own (rule A7).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{AgentStatus, StatusView},
    error::AssignmentError,
    store,
};

/// Returns the status of an agent, deactivated or not, as it is now.
pub(crate) async fn get_agent_status(app: &App, caller: &Caller, id: Uuid) -> Result<StatusView, AssignmentError> {
    let (account, read) = (caller.account, app.db.read_for(caller.account).await?);
    let agent = store::agents::find(&read.conn(), account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;
    let status = store::agent_statuses::find(&read.conn(), account, id).await?;
    let open = store::conversation_owners::count_open(&read.conn(), account, [id].into()).await?;
    drop(read);
    let status = status.unwrap_or_else(|| AgentStatus::new(account, id));
    let view = status.view(app.db.now().await?, app.heartbeats, open.get(&id).copied().unwrap_or(0));
    Ok(match agent.deactivated_at {
        Some(at) => view.deactivated(at),
        None => view,
    })
}
