//! The history of a conversation's owners (rule A8).

use frontdesk_api::Page;
use frontdesk_auth::Caller;
use uuid::Uuid;

use super::find_actor_names;
use crate::{
    App,
    domain::{Actor, Assignment, AssignmentView},
    error::AssignmentError,
    store,
};

/// Returns the assignments of the conversation, oldest first: one page after the epoch in its cursor, and one more assignment
/// when there is a next page.
pub(crate) async fn list_assignments(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    page: &Page<i64>,
) -> Result<Vec<AssignmentView>, AssignmentError> {
    let (read, after) = (app.db.read_for(caller.account).await?, page.cursor.unwrap_or(0));
    let assignments = store::assignments::list(&read.conn(), caller.account, conversation, after, page.size).await?;
    let epochs = assignments.iter().map(|assignment| assignment.epoch).collect();
    let closed_at = store::assignment_closes::list(&read.conn(), caller.account, conversation, epochs).await?;
    let actors: Vec<&Actor> = assignments.iter().flat_map(Assignment::actors).collect();
    let names = find_actor_names(&read.conn(), caller.account, &actors).await?;
    Ok(AssignmentView::history(assignments, &closed_at, &names))
}
