//! Taking a conversation for oneself (rule A3).

use frontdesk_auth::Caller;

use super::change_owner::{Owned, Wish, change_owner, first_answer};
use crate::{App, domain::Party, error::AssignmentError, store};

/// Takes a conversation for the calling agent; a bot's session ends at the row's commit.
pub(crate) async fn take_over_conversation(app: &App, caller: &Caller, wish: Wish) -> Result<Owned, AssignmentError> {
    let id = caller.agent_id().ok_or(AssignmentError::NotOnRoster)?;
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &wish, Party::agent(id)).await? {
        return Ok(first);
    }
    let agent = store::agents::find(&read.conn(), caller.account, id)
        .await?
        .ok_or(AssignmentError::NotOnRoster)?
        .assignable()?;
    drop(read);
    change_owner(app, caller, wish, Some(agent)).await
}
