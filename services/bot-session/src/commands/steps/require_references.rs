//! What a flow, or an answer of an engine, names of other services.

use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;

use crate::{
    App,
    domain::{OpeningHours, Reference},
    error::BotSessionError,
    queries, store,
};

/// Refuses agents who are not in the roster or were deactivated, and routing policies, teams, opening hours and inserts that do not exist
/// or were deleted. Each comes with the path of the field that names it. Returns the opening hours among them.
pub(crate) async fn require_references(
    app: &App,
    account: AccountId,
    references: Vec<(String, Reference)>,
) -> Result<Vec<OpeningHours>, BotSessionError> {
    let mut found = queries::find_missing_references(app, account, references).await?;
    let hours = std::mem::take(&mut found.opening_hours);
    match (found.inactive_agents.is_empty(), found.unknown.is_empty()) {
        (true, true) => Ok(hours),
        (false, _) => Err(BotSessionError::AgentsNotActive(found.problems())),
        (true, false) => Err(BotSessionError::ReferencesUnknown(found.unknown)),
    }
}

/// Stores copies of opening hours with the flow that names them, so that its branches need not wait for their next change.
pub(crate) async fn store_opening_hours(tx: &Tx, hours: Vec<OpeningHours>) -> Result<(), DbErr> {
    for hours in hours {
        store::opening_hours::save(tx, hours).await?;
    }
    Ok(())
}
