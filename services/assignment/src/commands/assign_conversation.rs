//! Assigning a conversation to an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{OwnerChange, add_unknown_caller, change_owner, first_answer, require_active_caller};
use crate::{
    App,
    domain::{Actor, AssignmentView},
    error::AssignmentError,
    store,
};

/// Assigns a conversation to an active agent of the roster, unless its owner changed since the expected epoch (rule A1).
pub(crate) async fn assign_conversation(
    app: &App,
    caller: &Caller,
    agent: Uuid,
    change: OwnerChange,
) -> Result<AssignmentView, AssignmentError> {
    add_unknown_caller(app, caller).await?;
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &change, Some(Actor::agent(agent))).await? {
        return Ok(first);
    }
    require_active_caller(&read.conn(), caller).await?;
    let agent = store::agents::find(&read.conn(), caller.account, agent)
        .await?
        .ok_or(AssignmentError::NotFound("agent"))?
        .require_active()?;
    drop(read);

    change_owner(app, caller, change, Some(agent)).await
}
