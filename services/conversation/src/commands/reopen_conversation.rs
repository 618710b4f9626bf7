//! The team reopens a closed conversation (rule E4).

use frontdesk_auth::Caller;
use frontdesk_db::is_unique_violation;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, find_contact_owner, mention_caller, require_active_caller, require_known_author,
};
use crate::{
    App,
    domain::{Conversation, Rejection, TeamMember},
    error::ConversationError,
    store::{channels, conversations},
};

pub(crate) struct ReopenConversation {
    pub(crate) conversation: Uuid,
    pub(crate) by: TeamMember,
    pub(crate) key: Option<Key>,
}

pub(crate) async fn reopen_conversation(
    app: &App,
    caller: &Caller,
    command: ReopenConversation,
) -> Result<Conversation, ConversationError> {
    require_known_author(app, caller).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, command.key).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    if begun.conversation.is_open() {
        return begun.finish(Ok(())).await;
    }
    require_active_caller(&begun.tx, caller).await?;
    let before = &begun.conversation;
    let conn = begun.tx.conn();
    let newer = conversations::find_open(conn, caller.account, before.channel_id, &before.visitor_id).await?;
    let channel = channels::find(conn, caller.account, before.channel_id).await?;
    let owner = find_contact_owner(&begun.tx, caller.account, before.contact_id).await?;
    let routing = channel.and_then(|channel| channel.routing(owner));
    mention_caller(&begun.tx, caller).await?;
    let decision = begun.conversation.reopen(&command.by, newer.is_some(), routing, begun.now);
    match begun.finish(decision).await {
        // The visitor started a new conversation concurrently: the unique index accepted one of the two.
        Err(ConversationError::Db(error)) if is_unique_violation(&error) => {
            Err(ConversationError::rejected(Rejection::NewerConversationOpen))
        }
        finished => finished,
    }
}
