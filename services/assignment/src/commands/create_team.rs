//! Creating a team.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{App, domain::Team, error::AssignmentError, store};

/// The new team.
#[derive(Debug)]
pub(crate) struct CreateTeam {
    pub(crate) name: String,
    pub(crate) external_id: String,
}

/// Creates a team without members. A repeated request returns the team that the first one created (rule C12).
pub(crate) async fn create_team(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateTeam,
) -> Result<Team, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = key.claim::<Uuid>(&tx).await? {
        return store::teams::find(tx.conn(), caller.account, id).await?.ok_or(AssignmentError::NotFound("team"));
    }

    let now = tx.now().await?;
    let team = Team {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        external_id: command.external_id,
        member_count: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    store::teams::insert(&tx, &team).await?;
    store::events::append_team_created(&mut tx, &team).await?;
    key.store_result(&tx, &team.id).await?;

    tx.commit().await?;
    Ok(team)
}
