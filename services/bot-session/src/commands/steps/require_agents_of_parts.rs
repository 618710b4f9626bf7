//! Whom the hand-offs of an answer of an engine name.

use frontdesk_db::AccountId;

use crate::{
    App,
    assignment::{self, AgentState},
    domain::{BotAction, FlowProblem, RoutingTarget, UNKNOWN_TARGET},
    error::BotSessionError,
};

/// Refuses a hand-off whose agent is not in the roster, or was deactivated, or whose routing policy or team does not exist, or was deleted.
pub(crate) async fn require_agents_of_parts(
    app: &App,
    account: AccountId,
    actions: &[BotAction],
) -> Result<(), BotSessionError> {
    let (mut problems, mut unknown) = (Vec::new(), Vec::new());
    for (at, action) in actions.iter().enumerate() {
        let BotAction::HandOff { to, .. } = action else { continue };
        for target in RoutingTarget::named_by(to.policy, to.team) {
            match assignment::has_target(&app.assignment, account, target).await {
                Ok(true) => {}
                Ok(false) => unknown.push(FlowProblem {
                    field: format!("parts[{at}].{}", target.field()),
                    description: UNKNOWN_TARGET.to_owned(),
                }),
                Err(status) => {
                    tracing::warn!(code = ?status.code(), message = status.message(), "the assignment service did not answer about a hand-off");
                    return Err(BotSessionError::RosterUnavailable);
                }
            }
        }
        let Some(agent) = to.agent else { continue };
        match assignment::get_agent_state(&app.assignment, account, agent).await {
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
    if !problems.is_empty() {
        return Err(BotSessionError::AgentsNotActive(problems));
    }
    if unknown.is_empty() { Ok(()) } else { Err(BotSessionError::TargetsUnknown(unknown)) }
}
