//! The sender address that a channel names.

use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use crate::{App, error::ConversationError, notification};

/// Refuses a sender address that does not exist or was deleted: every transcript of the channel would fail. One that is not
/// verified yet is accepted.
pub(crate) async fn require_sender(app: &App, account: AccountId, id: Uuid) -> Result<(), ConversationError> {
    match notification::get_sender(app, account, id).await {
        Ok(()) => Ok(()),
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::SenderUnknown),
        Err(_) => Err(ConversationError::Unreachable("notification")),
    }
}
