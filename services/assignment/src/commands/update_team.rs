//! Editing a team.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Team, TeamChange},
    error::AssignmentError,
    store,
};

/// An edit of a team.
#[derive(Debug)]
pub(crate) struct UpdateTeam {
    pub(crate) id: Uuid,
    pub(crate) change: TeamChange,
    /// The etag that the caller read. Empty: edit unconditionally.
    pub(crate) etag: String,
}

/// Edits a team. An edit whose content is there already changes nothing and publishes no event, whatever its etag (rule C12).
pub(crate) async fn update_team(app: &App, caller: &Caller, command: UpdateTeam) -> Result<Team, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut team = store::teams::find_for_update(&tx, caller.account, command.id)
        .await?
        .ok_or(AssignmentError::NotFound("team"))?;

    if team.update(command.change, &command.etag, tx.now().await?)? {
        store::teams::save(&tx, &team).await?;
        store::events::append_team_updated(&mut tx, &team).await?;
    }

    tx.commit().await?;
    Ok(team)
}
