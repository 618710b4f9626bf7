//! Leaving a conversation to nobody (rule A2).

use frontdesk_auth::Caller;

use super::change_owner::{Owned, Wish, change_owner, first_answer};
use crate::{App, domain::Party, error::AssignmentError};

/// Leaves a conversation to nobody, if its owner did not change since the expected epoch.
pub(crate) async fn unassign_conversation(app: &App, caller: &Caller, wish: Wish) -> Result<Owned, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &wish, Party::nobody()).await? {
        return Ok(first);
    }
    drop(read);
    change_owner(app, caller, wish, None).await
}
