//! Creating a routing policy (rule A4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_targets};
use crate::{
    App,
    domain::{RoutingPolicy, RoutingRules},
    error::AssignmentError,
    store,
};

/// The new policy.
#[derive(Debug)]
pub(crate) struct CreateRoutingPolicy {
    pub(crate) name: String,
    pub(crate) rules: RoutingRules,
}

/// Creates a routing policy. A repeated request returns the policy that the first one created (rule C12).
pub(crate) async fn create_routing_policy(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateRoutingPolicy,
) -> Result<RoutingPolicy, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = key.claim::<Uuid>(&tx).await? {
        let policy = store::routing_policies::find(tx.conn(), caller.account, id).await?;
        return policy.ok_or(AssignmentError::NotFound("routing policy"));
    }

    require_active_caller(tx.conn(), caller).await?;
    require_targets(tx.conn(), caller.account, &command.rules).await?;
    let now = tx.now().await?;
    let policy = RoutingPolicy {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        rules: command.rules,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    store::routing_policies::insert(&tx, &policy).await?;
    store::events::append_routing_policy_changed(&mut tx, &policy).await?;
    key.store_result(&tx, &policy.id).await?;

    tx.commit().await?;
    Ok(policy)
}
