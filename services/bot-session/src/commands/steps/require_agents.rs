//! Whom the hand-offs of a flow name.

use frontdesk_db::AccountId;

use crate::{App, domain::Program, error::BotSessionError, queries};

/// Refuses a flow with a hand-off step whose agent is not in the roster, or was deactivated, or whose routing policy or team does not
/// exist, or was deleted.
pub(crate) async fn require_agents(app: &App, account: AccountId, program: &Program) -> Result<(), BotSessionError> {
    let problems = queries::find_inactive_agents(app, account, program).await?;
    if !problems.is_empty() {
        return Err(BotSessionError::AgentsNotActive(problems));
    }
    let problems = queries::find_unknown_targets(app, account, program).await?;
    if problems.is_empty() { Ok(()) } else { Err(BotSessionError::TargetsUnknown(problems)) }
}
