//! The history of a conversation's owners (rule A8).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Actor, AssignmentView},
    error::AssignmentError,
    store,
};

/// Maximum number of assignments in an answer.
const MAX_ASSIGNMENTS: u64 = 1_000;

/// Returns the newest assignments of the conversation, oldest first.
pub(crate) async fn list_assignments(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<Vec<AssignmentView>, AssignmentError> {
    list_newest(app, caller, conversation, MAX_ASSIGNMENTS).await
}

pub(super) async fn list_newest(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    limit: u64,
) -> Result<Vec<AssignmentView>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let assignments = store::assignments::list_newest(&read.conn(), caller.account, conversation, limit).await?;
    let actors = assignments.iter().flat_map(|assignment| [&assignment.owner, &assignment.by]).flatten();
    let agents = actors.filter_map(Actor::agent_id).collect();
    let names = store::agents::list_names(&read.conn(), caller.account, agents).await?;
    Ok(AssignmentView::history(assignments, &names))
}
