//! Assigning a conversation to an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::change_owner::{Owned, Wish, change_owner, first_answer};
use crate::{App, domain::Party, error::AssignmentError, store};

/// Who shall own which conversation.
#[derive(Debug)]
pub(crate) struct AssignConversation {
    pub(crate) agent: Uuid,
    pub(crate) wish: Wish,
}

/// Gives a conversation to an agent of the roster, if its owner did not change since the expected epoch (rule A1).
pub(crate) async fn assign_conversation(
    app: &App,
    caller: &Caller,
    command: AssignConversation,
) -> Result<Owned, AssignmentError> {
    let AssignConversation { agent, wish } = command;
    let read = app.db.read_for(caller.account).await?;
    if let Some(first) = first_answer(&read.conn(), caller, &wish, Party::agent(agent)).await? {
        return Ok(first);
    }
    let agent = store::agents::find(&read.conn(), caller.account, agent)
        .await?
        .ok_or(AssignmentError::NotFound("agent"))?
        .assignable()?;
    drop(read);
    change_owner(app, caller, wish, Some(agent)).await
}
