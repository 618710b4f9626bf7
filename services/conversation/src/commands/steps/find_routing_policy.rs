//! The routing policy that a channel names.

use frontdesk_db::AccountId;
use tonic::Code;
use uuid::Uuid;

use crate::{App, assignment, domain::RoutingPolicy, error::ConversationError};

/// The policy as its own service has it now: a channel must not name one that does not exist or was deleted.
pub(crate) async fn find_routing_policy(
    app: &App,
    account: AccountId,
    id: Uuid,
) -> Result<RoutingPolicy, ConversationError> {
    match assignment::get_routing_policy(app, account, id).await {
        Ok(policy) if policy.deleted => Err(ConversationError::RoutingPolicyUnknown),
        Ok(policy) => Ok(policy),
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::RoutingPolicyUnknown),
        Err(_) => Err(ConversationError::Unreachable("assignment")),
    }
}
