//! The routing policy that a channel names.

use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use crate::{App, assignment, error::ConversationError};

/// Requires that the policy exists at its own service now: a channel must not name one that does not exist or was deleted.
pub(crate) async fn require_routing_policy(app: &App, account: AccountId, id: Uuid) -> Result<(), ConversationError> {
    match assignment::has_routing_policy(app, account, id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ConversationError::RoutingPolicyUnknown),
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::RoutingPolicyUnknown),
        Err(_) => Err(ConversationError::Unreachable("assignment")),
    }
}
