//! Agents of a flow whom nothing can be assigned to.

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    App,
    assignment::{self, AgentState},
    domain::{FlowProblem, Program, inactive_agent},
    error::BotSessionError,
};

/// Maximum number of agents asked about at the same time.
const CONCURRENT: usize = 8;

/// Returns a problem for each hand-off step whose agent is not in the roster, or was deactivated. The roster is asked once for each
/// agent.
pub(crate) async fn find_inactive_agents(
    app: &App,
    account: AccountId,
    program: &Program,
) -> Result<Vec<FlowProblem>, BotSessionError> {
    let agents: BTreeSet<_> = program.agents().map(|(_, agent)| agent).collect();
    let asked = stream::iter(agents).map(async |agent| {
        let state = assignment::get_agent_state(&app.assignment, account, agent).await;
        state.map(|state| (agent, state)).map_err(|status| {
            tracing::warn!(code = ?status.code(), message = status.message(), "the roster did not answer about an agent");
            BotSessionError::RosterUnavailable
        })
    });
    let answers: Vec<_> = asked.buffer_unordered(CONCURRENT).try_collect().await?;
    let inactive: BTreeSet<_> =
        answers.into_iter().filter(|(_, state)| *state != AgentState::Active).map(|(agent, _)| agent).collect();
    Ok(program.agents().filter(|(_, agent)| inactive.contains(agent)).map(|(step, _)| inactive_agent(step)).collect())
}
