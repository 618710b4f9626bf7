//! The team of an inbox: the conversations of its members, and those that wait in its queues (rule C9).

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use super::{AssigneeFilter, Filter};
use crate::{
    App, assignment,
    domain::{Membership, Owner},
    error::ConversationError,
    store::teams,
};

/// Adds the members that the filter's team has now to its assignees.
pub(crate) async fn resolve_team(app: &App, caller: &Caller, filter: &mut Filter) -> Result<(), ConversationError> {
    let Some(team) = filter.team() else { return Ok(()) };
    if !is_known(app, caller.account, team).await? {
        copy(app, caller.account, team).await?;
    }
    let read = app.db.read_for(caller.account).await?;
    // Before the members: those who are read after it are never older.
    let membership = teams::find(&read.conn(), caller.account, team).await?;
    let members = teams::list_members(&read.conn(), caller.account, team).await?;
    filter.membership = Some(membership.unwrap_or(Membership { team, number: 0 }));
    filter.assignees.extend(members.into_iter().map(|agent| AssigneeFilter::Owner(Owner::agent(agent))));
    Ok(())
}

/// Requires that the team has the members that it had.
pub(crate) async fn require_same_members(
    app: &App,
    caller: &Caller,
    membership: Membership,
) -> Result<(), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let now = teams::find(&read.conn(), caller.account, membership.team).await?;
    let same = now.map_or(0, |now| now.number) == membership.number;
    if same { Ok(()) } else { Err(ConversationError::TeamChanged) }
}

async fn is_known(app: &App, account: AccountId, team: Uuid) -> Result<bool, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(teams::find(&read.conn(), account, team).await?.is_some())
}

/// Copies a team of which no event has arrived, as of one from before this service handled them. Another account's and an unknown one
/// stay without a copy, and so without members.
async fn copy(app: &App, account: AccountId, team: Uuid) -> Result<(), ConversationError> {
    let team = match assignment::get_team(app, account, team).await {
        Ok(team) => team,
        Err(status) if status.code() == Code::NotFound => return Ok(()),
        Err(_) => return Err(ConversationError::Unreachable("assignment")),
    };
    let tx = app.db.begin_for(account).await?;
    teams::save(&tx, &team).await?;
    tx.commit().await?;
    Ok(())
}
