//! Assigning a conversation to an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::change_owner::{Owned, change_owner};
use crate::{App, error::AssignmentError, store};

/// Who shall own which conversation.
#[derive(Debug)]
pub(crate) struct AssignConversation {
    pub(crate) conversation: Uuid,
    pub(crate) agent: Uuid,
    pub(crate) expected_epoch: i64,
    pub(crate) request_id: String,
}

/// Gives a conversation to an agent of the roster, if its owner did not change since the expected epoch (rule A1).
pub(crate) async fn assign_conversation(
    app: &App,
    caller: &Caller,
    command: AssignConversation,
) -> Result<Owned, AssignmentError> {
    let agent = store::agents::find(app.db.read(), caller.account, command.agent)
        .await?
        .ok_or(AssignmentError::NotFound("agent"))?
        .assignable()?;
    change_owner(app, caller, command.conversation, command.expected_epoch, Some(agent), &command.request_id).await
}
