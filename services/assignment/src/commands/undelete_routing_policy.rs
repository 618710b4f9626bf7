//! Undoing the deletion of a routing policy (rule A4).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::require_active_caller;
use crate::{App, domain::RoutingPolicy, error::AssignmentError, store};

/// Undeletes a routing policy. Undeleting one that is not deleted changes nothing.
pub(crate) async fn undelete_routing_policy(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<RoutingPolicy, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    require_active_caller(tx.conn(), caller).await?;
    let mut policy = store::routing_policies::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(AssignmentError::NotFound("routing policy"))?;

    if policy.undelete(tx.now().await?) {
        store::routing_policies::save(&tx, &policy).await?;
        store::events::append_routing_policy_changed(&mut tx, &policy).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
        store::queue_publications::publish_again(&tx, caller.account, Some(id)).await?;
    }

    tx.commit().await?;
    Ok(policy)
}
