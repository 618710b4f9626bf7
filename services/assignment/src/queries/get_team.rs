//! One team.

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Team, error::AssignmentError, store};

/// Returns the team, deleted or not, and its members.
pub(crate) async fn get_team(app: &App, caller: &Caller, id: Uuid) -> Result<(Team, BTreeSet<Uuid>), AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    // The team first: members who are read after it are never older than its version.
    let team = store::teams::find(&read.conn(), caller.account, id).await?.ok_or(AssignmentError::NotFound("team"))?;
    let members = store::team_members::list(&read.conn(), caller.account, id).await?;
    Ok((team, members))
}
