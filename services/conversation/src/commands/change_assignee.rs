//! The owner changes at an epoch (rules A1, A2, A3). The assignment service is the only caller.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::explain;
use crate::{
    App,
    domain::{Author, Conversation, Owner},
    error::ConversationError,
    store::{conversations, names},
};

pub(crate) struct ChangeAssignee {
    pub conversation: Uuid,
    pub expected_epoch: i64,
    /// None: nobody.
    pub agent: Option<Uuid>,
    pub agent_name: String,
    pub by: Author,
    pub key: Key,
}

/// The conversation after the change, and who owned it before.
pub(crate) struct ChangedAssignee {
    pub conversation: Conversation,
    pub from: Option<Owner>,
}

pub(crate) async fn change_assignee(
    app: &App,
    caller: &Caller,
    command: ChangeAssignee,
) -> Result<ChangedAssignee, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if let Some((epoch, from)) = command.key.claim::<(i64, Option<Owner>)>(&tx).await? {
        // The first answer told of this change; later ones are not its business.
        conversation.row.epoch = epoch;
        return Ok(ChangedAssignee { conversation, from });
    }

    if let Some(agent) = command.agent {
        names::mention_agent(&tx, caller.account, agent, &command.agent_name).await?;
    }
    let now = tx.now().await?;
    match conversation.change_owner(command.agent.map(Owner::agent), command.by, command.expected_epoch, now) {
        Ok(from) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.store_result(&tx, &(conversation.row.epoch, from)).await?;
            tx.commit().await?;
            Ok(ChangedAssignee { conversation, from })
        }
        Err(refused) => Err(explain(tx.conn(), conversation, refused).await),
    }
}
