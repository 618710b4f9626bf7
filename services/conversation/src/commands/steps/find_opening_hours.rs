//! The opening hours that a channel names.

use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use crate::{App, assignment, domain::OpeningHours, error::ConversationError};

/// The opening hours as their own service has them now: a channel must not name ones that do not exist or were deleted.
pub(crate) async fn find_opening_hours(
    app: &App,
    account: AccountId,
    id: Uuid,
) -> Result<OpeningHours, ConversationError> {
    match assignment::get_opening_hours(app, account, id).await {
        Ok(hours) if hours.deleted => Err(ConversationError::OpeningHoursUnknown),
        Ok(hours) => Ok(hours),
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::OpeningHoursUnknown),
        Err(_) => Err(ConversationError::Unreachable("assignment")),
    }
}
