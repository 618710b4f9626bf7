//! Leaving a conversation unassigned (rule A2).

use frontdesk_auth::Caller;

use super::steps::{OwnerChange, add_unknown_caller, change_owner, first_answer, require_active_caller};
use crate::{App, domain::AssignmentView, error::AssignmentError};

/// Leaves a conversation unassigned, unless its owner changed since the expected epoch (rule A1).
pub(crate) async fn unassign_conversation(
    app: &App,
    caller: &Caller,
    change: OwnerChange,
) -> Result<AssignmentView, AssignmentError> {
    add_unknown_caller(app, caller).await?;
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &change, None).await? {
        return Ok(first);
    }
    require_active_caller(&read.conn(), caller).await?;
    drop(read);

    change_owner(app, caller, change, None).await
}
