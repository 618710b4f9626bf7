//! Adding an agent to the roster.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1::AgentCreated;
use uuid::Uuid;

use crate::{App, SOURCE, domain::Agent, error::AssignmentError, store};

/// Who joins.
#[derive(Debug)]
pub(crate) struct CreateAgent {
    /// None: an id is made.
    pub(crate) id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) handle: String,
    pub(crate) email: String,
}

/// Adds an agent; a repeat gives the one back that was made first.
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
    let agent = Agent {
        id: command.id.unwrap_or_else(|| tx.new_id()),
        account: caller.account,
        name: command.name,
        handle: command.handle,
        email: command.email,
        active: true,
        version: 1,
        created_at: tx.now().await?,
    };
    store::agents::insert(&tx, &agent).await?;
    key.store_result(&tx, &agent.id).await?;
    append(&mut tx, aggregate(&agent), &AgentCreated { agent_id: agent.id.to_string() }).await?;
    tx.commit().await?;
    Ok(agent)
}

/// The agent as its events name it.
pub(super) fn aggregate(agent: &Agent) -> Aggregate {
    Aggregate { source: SOURCE, account: agent.account, kind: "agent", id: agent.id, version: agent.version }
}
