//! One routing policy.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::RoutingPolicy, error::AssignmentError, store};

/// Returns the policy, deleted or not.
pub(crate) async fn get_routing_policy(app: &App, caller: &Caller, id: Uuid) -> Result<RoutingPolicy, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let policy = store::routing_policies::find(&read.conn(), caller.account, id).await?;
    policy.ok_or(AssignmentError::NotFound("routing policy"))
}
