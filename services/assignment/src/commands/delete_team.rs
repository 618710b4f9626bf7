//! Deleting a team.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Team, error::AssignmentError, store};

/// Deletes a team, which keeps its members. Deleting a deleted one changes nothing.
pub(crate) async fn delete_team(app: &App, caller: &Caller, id: Uuid) -> Result<Team, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut team =
        store::teams::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("team"))?;

    if team.delete(tx.now().await?) {
        store::teams::save(&tx, &team).await?;
        store::events::append_team_deleted(&mut tx, &team).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
        store::queue_publications::publish_again(&tx, caller.account, None).await?;
    }

    tx.commit().await?;
    Ok(team)
}
