//! The current owner of a conversation, as far as the history knows.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::list_assignments::list_newest;
use crate::{App, domain::AssignmentView, error::AssignmentError};

/// Returns the newest assignment of the conversation.
pub(crate) async fn get_assignment(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<AssignmentView, AssignmentError> {
    list_newest(app, caller, conversation, 1).await?.pop().ok_or(AssignmentError::NotFound("conversation"))
}
