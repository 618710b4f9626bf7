//! Taking a conversation for oneself (rule A3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::change_owner::{Owned, change_owner};
use crate::{App, error::AssignmentError, store};

/// Which conversation the caller takes.
#[derive(Debug)]
pub(crate) struct TakeOverConversation {
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i64,
    pub(crate) request_id: String,
}

/// Takes a conversation for the calling agent; a bot's session ends at the row's commit.
pub(crate) async fn take_over_conversation(
    app: &App,
    caller: &Caller,
    command: TakeOverConversation,
) -> Result<Owned, AssignmentError> {
    let id = caller.agent_id().ok_or(AssignmentError::NotOnRoster)?;
    let agent = store::agents::find(app.db.read(), caller.account, id)
        .await?
        .ok_or(AssignmentError::NotOnRoster)?
        .assignable()?;
    change_owner(app, caller, command.conversation, command.expected_epoch, Some(agent), &command.request_id).await
}
