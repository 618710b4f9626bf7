//! A rejection, completed with the current state of the conversation.

use sea_orm::ConnectionTrait;

use crate::{
    domain::{Conversation, Rejection},
    error::{ConversationError, Rejected},
    store::display_names,
};

/// The error for a caller whose change was rejected.
pub(crate) async fn reject<C: ConnectionTrait>(
    conn: &C,
    conversation: Conversation,
    rejection: Rejection,
) -> ConversationError {
    match display_names::find_owners(conn, conversation.account, conversation.owner).await {
        Ok(names) => {
            let owner_name = conversation.owner.map(|owner| names.owner(owner)).unwrap_or_default();
            ConversationError::Rejected(Box::new(Rejected::new(rejection, conversation, owner_name)))
        }
        Err(error) => error.into(),
    }
}
