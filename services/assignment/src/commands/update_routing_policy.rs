//! Editing a routing policy (rule A4).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, require_targets};
use crate::{
    App,
    domain::{RoutingPolicy, RoutingPolicyChange},
    error::AssignmentError,
    store,
};

/// An edit of a routing policy.
#[derive(Debug)]
pub(crate) struct UpdateRoutingPolicy {
    pub(crate) id: Uuid,
    pub(crate) change: RoutingPolicyChange,
    /// The etag that the caller read. Empty: edit unconditionally.
    pub(crate) etag: String,
}

/// Edits a routing policy; what it names is checked where its rules change. An edit whose content is there already changes nothing and
/// publishes no event, whatever its etag (rule C12).
pub(crate) async fn update_routing_policy(
    app: &App,
    caller: &Caller,
    command: UpdateRoutingPolicy,
) -> Result<RoutingPolicy, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    require_active_caller(tx.conn(), caller).await?;
    let mut policy = store::routing_policies::find_for_update(&tx, caller.account, command.id)
        .await?
        .ok_or(AssignmentError::NotFound("routing policy"))?;

    let rules_before = policy.rules.clone();
    if policy.update(command.change, &command.etag, tx.now().await?)? {
        if policy.rules != rules_before {
            require_targets(tx.conn(), caller.account, &policy.rules).await?;
        }
        store::routing_policies::save(&tx, &policy).await?;
        store::events::append_routing_policy_changed(&mut tx, &policy).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
        if policy.rules != rules_before {
            store::queue_publications::publish_again(&tx, caller.account, Some(policy.id)).await?;
        }
    }

    tx.commit().await?;
    Ok(policy)
}
