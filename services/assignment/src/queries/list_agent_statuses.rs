//! The statuses of active agents, by the agents' names (rule A7).

use std::collections::BTreeSet;

use frontdesk_api::Page;
use frontdesk_auth::Caller;
use uuid::Uuid;

use super::AgentFilter;
use crate::{
    App,
    domain::{Agent, AgentStatus, Availability, StatusView},
    error::AssignmentError,
    store,
    store::agents::Cursor,
};

/// Which statuses a list has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusFilter {
    /// Only of members of this team.
    pub(crate) team: Option<Uuid>,
    /// Only of agents with this availability.
    pub(crate) availability: Option<Availability>,
}

/// Returns the statuses with the positions of their agents in the roster: one page, and one more when there is a next page.
pub(crate) async fn list_agent_statuses(
    app: &App,
    caller: &Caller,
    filter: StatusFilter,
    page: &Page<Cursor>,
) -> Result<Vec<(Cursor, StatusView)>, AssignmentError> {
    let (account, policy) = (caller.account, app.heartbeats);
    // Before the read, which holds a connection.
    let now = app.db.now().await?;
    let heard_after = now.minus(policy.away_after);
    let filter = AgentFilter {
        show_deactivated: false,
        team: filter.team,
        availability: filter.availability.map(|availability| (availability, heard_after)),
    };
    let read = app.db.read_for(account).await?;
    let agents = store::agents::list(&read.conn(), account, filter, page.cursor.as_ref(), page.size).await?;
    let ids: BTreeSet<Uuid> = agents.iter().map(|agent| agent.id).collect();
    let mut statuses = store::agent_statuses::find_many(&read.conn(), account, ids.clone()).await?;
    let open = store::conversation_owners::count_open(&read.conn(), account, ids).await?;
    drop(read);
    let view = |agent: Agent| {
        let status = statuses.remove(&agent.id).unwrap_or_else(|| AgentStatus::new(account, agent.id));
        let view = status.view(now, policy, open.get(&agent.id).copied().unwrap_or(0));
        ((agent.name, agent.id), view)
    };
    Ok(agents.into_iter().map(view).collect())
}
