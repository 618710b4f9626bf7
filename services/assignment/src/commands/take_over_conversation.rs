//! Taking over a conversation (rule A3).

use frontdesk_auth::Caller;

use super::steps::{OwnerChange, add_unknown_caller, change_owner, find_active_caller, first_answer};
use crate::{
    App,
    domain::{Actor, AssignmentView},
    error::AssignmentError,
};

/// Assigns a conversation to the calling agent, unless its owner changed since the expected epoch (rule A1). A bot's session
/// ends with the same commit of the conversation's row.
pub(crate) async fn take_over_conversation(
    app: &App,
    caller: &Caller,
    change: OwnerChange,
) -> Result<AssignmentView, AssignmentError> {
    let id = caller.agent_id().ok_or(AssignmentError::NotOnRoster)?;
    add_unknown_caller(app, caller).await?;
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &change, Some(Actor::agent(id))).await? {
        return Ok(first);
    }
    let agent = find_active_caller(&read.conn(), caller).await?;
    drop(read);

    change_owner(app, caller, change, Some(agent)).await
}
