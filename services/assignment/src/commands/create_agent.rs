//! Adding an agent to the roster.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, Capacity},
    error::AssignmentError,
    store,
};

/// The new agent.
#[derive(Debug)]
pub(crate) struct CreateAgent {
    /// None: the service chooses the id.
    pub(crate) id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) handle: String,
    pub(crate) email: String,
    pub(crate) capacity: Capacity,
}

/// Adds an agent. A repeated request returns the agent that the first one added (rule C12).
pub(crate) async fn create_agent(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateAgent,
) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = key.claim::<Uuid>(&tx).await? {
        return store::agents::find(tx.conn(), caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"));
    }

    let now = tx.now().await?;
    let agent = Agent {
        id: command.id.unwrap_or_else(|| tx.new_id()),
        account: caller.account,
        name: command.name,
        handle: command.handle,
        email: command.email,
        capacity: command.capacity,
        version: 1,
        created_at: now,
        updated_at: now,
        deactivated_at: None,
    };
    store::agents::insert(&tx, &agent).await?;
    store::events::append_agent_created(&mut tx, &agent).await?;
    key.store_result(&tx, &agent.id).await?;

    tx.commit().await?;
    Ok(agent)
}
