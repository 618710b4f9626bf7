//! Ending the membership of agents in a team.

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Team, error::AssignmentError, store};

/// Removes those of the agents who are members.
pub(crate) async fn remove_team_members(
    app: &App,
    caller: &Caller,
    id: Uuid,
    agents: BTreeSet<Uuid>,
) -> Result<Team, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut team =
        store::teams::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("team"))?;
    let members = store::team_members::list(tx.conn(), caller.account, id).await?;
    let removed: BTreeSet<Uuid> = agents.intersection(&members).copied().collect();

    if team.change_members(0, removed.len(), tx.now().await?)? {
        store::team_members::delete(&tx, caller.account, id, &removed).await?;
        store::teams::save(&tx, &team).await?;
        store::events::append_team_members_changed(&mut tx, &team, &BTreeSet::new(), &removed).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    Ok(team)
}
