//! An agent sets themself available or away (rule A7).

use frontdesk_auth::Caller;

use super::steps::{add_unknown_caller, change_status};
use crate::{
    App,
    domain::{Availability, StatusView},
    error::AssignmentError,
    store,
};

/// Sets the availability of the calling agent; their client is heard with the call.
pub(crate) async fn set_availability(
    app: &App,
    caller: &Caller,
    availability: Availability,
) -> Result<StatusView, AssignmentError> {
    add_unknown_caller(app, caller).await?;
    let id = caller.agent_id().ok_or(AssignmentError::NotOnRoster)?;
    let mut tx = app.db.begin_for(caller.account).await?;
    // Locked, so that an agent who is deactivated at the same time is not available afterwards.
    let agent = store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotOnRoster)?;
    if !agent.is_active() {
        return Err(AssignmentError::CallerDeactivated);
    }

    let policy = app.heartbeats;
    let choose = change_status(&mut tx, caller.account, id, |status, now| status.choose(availability, now, policy));
    let (status, now) = choose.await?;
    let open = store::conversation_owners::count_open(tx.conn(), caller.account, [id].into()).await?;
    tx.commit().await?;
    Ok(status.view(now, policy, open.get(&id).copied().unwrap_or(0)))
}
