//! The agents whom an answer of an engine names.

use frontdesk_db::AccountId;

use crate::{
    App,
    assignment::{self, AgentState},
    domain::{BotAction, FlowProblem},
    error::BotSessionError,
};

/// Refuses a hand-off whose agent is not in the roster, or was deactivated.
pub(crate) async fn require_agents_of_parts(
    app: &App,
    account: AccountId,
    actions: &[BotAction],
) -> Result<(), BotSessionError> {
    let mut problems = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        let BotAction::HandOff { agent: Some(agent), .. } = action else { continue };
        match assignment::get_agent_state(&app.assignment, account, *agent).await {
            Ok(AgentState::Active) => {}
            Ok(AgentState::Deactivated | AgentState::Unknown) => problems.push(FlowProblem {
                field: format!("parts[{at}].hand_off.agent_id"),
                description: "the agent is not in the roster, or was deactivated".to_owned(),
            }),
            Err(status) => {
                tracing::warn!(code = ?status.code(), message = status.message(), "the roster did not answer about an agent");
                return Err(BotSessionError::RosterUnavailable);
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(BotSessionError::AgentsNotActive(problems)) }
}
