//! Leaving a conversation to nobody (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::change_owner::{Owned, change_owner};
use crate::{App, error::AssignmentError};

/// Which conversation is left.
#[derive(Debug)]
pub(crate) struct UnassignConversation {
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i64,
    pub(crate) request_id: String,
}

/// Leaves a conversation to nobody, if its owner did not change since the expected epoch.
pub(crate) async fn unassign_conversation(
    app: &App,
    caller: &Caller,
    command: UnassignConversation,
) -> Result<Owned, AssignmentError> {
    change_owner(app, caller, command.conversation, command.expected_epoch, None, &command.request_id).await
}
