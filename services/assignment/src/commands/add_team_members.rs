//! Making agents members of a team.

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, Team},
    error::AssignmentError,
    store,
};

/// Makes active agents of the roster members, all of them or none. Those who are members stay so, and need not be active: so a repeat
/// changes nothing, also after one of them was deactivated.
pub(crate) async fn add_team_members(
    app: &App,
    caller: &Caller,
    id: Uuid,
    agents: BTreeSet<Uuid>,
) -> Result<Team, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut team =
        store::teams::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("team"))?;
    let members = store::team_members::list(tx.conn(), caller.account, id).await?;
    let added: BTreeSet<Uuid> = agents.difference(&members).copied().collect();

    if team.change_members(added.len(), 0, tx.now().await?)? {
        let known = store::agents::find_many(tx.conn(), caller.account, added.clone()).await?;
        let inactive = added.iter().find(|agent| !known.get(agent).is_some_and(Agent::is_active));
        if let Some(agent) = inactive {
            let name = known.get(agent).map(|agent| agent.name.clone()).unwrap_or_default();
            return Err(AssignmentError::MemberNotActive { agent: *agent, name });
        }
        store::team_members::insert(&tx, caller.account, id, &added).await?;
        store::teams::save(&tx, &team).await?;
        store::events::append_team_members_changed(&mut tx, &team, &added, &BTreeSet::new()).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    Ok(team)
}
