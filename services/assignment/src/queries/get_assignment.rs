//! The current owner of a conversation, as far as the history knows.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::AssignmentView, error::AssignmentError, store};

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
    let agents = assignment.agents().collect();
    let names = store::agents::list_names(&read.conn(), caller.account, agents).await?;
    Ok(AssignmentView::new(assignment, &names))
}
