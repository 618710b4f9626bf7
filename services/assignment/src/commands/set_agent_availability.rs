//! An administrator sets an agent available or away (rule A7).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::change_status;
use crate::{
    App,
    domain::{Availability, StatusView},
    error::AssignmentError,
    store,
};

/// Sets the availability of an active agent, who is available only while their client sends heartbeats.
pub(crate) async fn set_agent_availability(
    app: &App,
    caller: &Caller,
    id: Uuid,
    availability: Availability,
) -> Result<StatusView, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    // Locked, so that an agent who is deactivated at the same time is not available afterwards.
    let agent = store::agents::find_for_update(&tx, caller.account, id).await?;
    agent.ok_or(AssignmentError::NotFound("agent"))?.require_active()?;

    let policy = app.heartbeats;
    let set = change_status(&mut tx, caller.account, id, |status, now| status.set(availability, now, policy));
    let (status, now) = set.await?;
    let open = store::conversation_owners::count_open(tx.conn(), caller.account, [id].into()).await?;
    tx.commit().await?;
    Ok(status.view(now, policy, open.get(&id).copied().unwrap_or(0)))
}
