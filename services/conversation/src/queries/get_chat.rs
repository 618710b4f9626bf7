//! A chat of the calling visitor, with the name of its owner (rule S3).

use frontdesk_auth::Caller;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    App,
    domain::Conversation,
    error::ConversationError,
    store::{
        conversations,
        display_names::{self, DisplayNames},
    },
};

pub(crate) async fn get_chat(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<(Conversation, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let chat = read_chat(&read.conn(), caller, id).await?;
    let names = display_names::find_owners(&read.conn(), caller.account, chat.owner).await?;
    Ok((chat, names))
}

/// For calls about a chat: another visitor's does not exist.
pub(crate) async fn read_chat<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    id: Uuid,
) -> Result<Conversation, ConversationError> {
    let conversation = conversations::find(conn, caller.account, id).await?;
    conversation
        .filter(|conversation| conversation.visitor_id == caller.actor.id)
        .ok_or(ConversationError::NotFound("chat"))
}
