//! The current owner of a conversation, as far as the history knows.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::find_actor_names;
use crate::{
    App,
    domain::{Actor, AssignmentView},
    error::AssignmentError,
    store,
};

/// Returns the newest assignment of the conversation.
pub(crate) async fn get_assignment(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<AssignmentView, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let assignment = store::assignments::find_newest(&read.conn(), caller.account, conversation)
        .await?
        .ok_or(AssignmentError::NotFound("conversation"))?;
    let epochs = vec![assignment.epoch];
    let closed_at = store::assignment_closes::list(&read.conn(), caller.account, conversation, epochs).await?;
    let actors: Vec<&Actor> = assignment.actors().collect();
    let names = find_actor_names(&read.conn(), caller.account, &actors).await?;
    let ended_at = closed_at.get(&assignment.epoch).copied();
    Ok(AssignmentView { ended_at, ..AssignmentView::new(assignment, &names) })
}
