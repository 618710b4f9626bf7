//! Routing policies and teams of a flow that do not exist.

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    App, assignment,
    domain::{FlowProblem, Program, unknown_target},
    error::BotSessionError,
};

/// Maximum number of routing policies and teams asked about at the same time.
const CONCURRENT: usize = 8;

/// Returns a problem for each hand-off step whose routing policy or team does not exist, or was deleted. The assignment service is asked
/// once for each of them.
pub(crate) async fn find_unknown_targets(
    app: &App,
    account: AccountId,
    program: &Program,
) -> Result<Vec<FlowProblem>, BotSessionError> {
    let targets: BTreeSet<_> = program.routing_targets().map(|(_, target)| target).collect();
    let asked = stream::iter(targets).map(async |target| {
        let exists = assignment::has_target(&app.assignment, account, target).await;
        exists.map(|exists| (target, exists)).map_err(|status| {
            tracing::warn!(code = ?status.code(), message = status.message(), "the assignment service did not answer about a hand-off");
            BotSessionError::RosterUnavailable
        })
    });
    let answers: Vec<_> = asked.buffer_unordered(CONCURRENT).try_collect().await?;
    let unknown: BTreeSet<_> = answers.into_iter().filter(|(_, exists)| !*exists).map(|(target, _)| target).collect();
    let named = program.routing_targets().filter(|(_, target)| unknown.contains(target));
    Ok(named.map(|(step, target)| unknown_target(step, target)).collect())
}
