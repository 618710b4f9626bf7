//! Who owns a conversation, as far as this service heard.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::list_assignments::{Line, lines};
use crate::{App, error::AssignmentError};

/// The newest stretch.
pub(crate) async fn get_assignment(app: &App, caller: &Caller, conversation: Uuid) -> Result<Line, AssignmentError> {
    lines(app, caller, conversation, 1).await?.pop().ok_or(AssignmentError::NotFound("conversation"))
}
