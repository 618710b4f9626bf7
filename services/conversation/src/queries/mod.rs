//! What a caller can ask. Reads go straight to the store; a visitor's go through an allow-list in `grpc/`. All of one call share
//! a connection.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    domain::Conversation,
    error::ConversationError,
    store::{
        channels, closes, conversations, entity,
        entries::{self, Listed},
        names, visitor_keys,
    },
};

/// The conversation, in the caller's account.
pub(crate) async fn get_conversation<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    id: Uuid,
) -> Result<Conversation, ConversationError> {
    let conversation = conversations::find(conn, caller.account, id).await?;
    conversation.ok_or(ConversationError::NotFound("conversation"))
}

/// The calling visitor's own chat (rule S3).
pub(crate) async fn get_chat<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    id: Uuid,
) -> Result<Conversation, ConversationError> {
    let conversation = conversations::find(conn, caller.account, id).await?;
    conversation
        .filter(|conversation| conversation.row.visitor_id == caller.actor.id)
        .ok_or(ConversationError::NotFound("chat"))
}

/// Entries after a sequence with the names in them.
pub(crate) async fn list_entries<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    after: i64,
    until: Option<i64>,
    limit: usize,
) -> Result<(Listed, names::Names), ConversationError> {
    let row = &conversation.row;
    let listed = entries::list(conn, row.account_id, row.id, after, until, limit).await?;
    let names = names::find(conn, conversation, &listed.entries).await?;
    Ok((listed, names))
}

/// What the visitor sees after a number, with the names in it.
pub(crate) async fn list_visible<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    after: i64,
    limit: usize,
) -> Result<(Listed, names::Names), ConversationError> {
    let row = &conversation.row;
    let listed = entries::list_visible(conn, row.account_id, row.id, after, limit).await?;
    let names = names::find(conn, conversation, &listed.entries).await?;
    Ok((listed, names))
}

/// What a close froze, and the visitor's name; 0: what a close would freeze now.
pub(crate) async fn get_closing_facts<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    conversation: Uuid,
    close_number: i32,
) -> Result<(entity::closes::Model, String), ConversationError> {
    let conversation = get_conversation(conn, caller, conversation).await?;
    let name = names::of_visitor(conn, &conversation).await?;
    if close_number == 0 {
        let facts = closes::facts(conn, &conversation).await?;
        return Ok((closes::frozen(&conversation.row, facts), name));
    }
    let close = closes::find(conn, caller.account, conversation.row.id, close_number).await?;
    Ok((close.ok_or(ConversationError::NotFound("close"))?, name))
}

/// The channel's keys for visitor tokens that are good at this time, newest first.
pub(crate) async fn list_visitor_keys<C: ConnectionTrait>(
    conn: &C,
    caller: &Caller,
    channel: Uuid,
    at: Time,
) -> Result<Vec<entity::visitor_keys::Model>, ConversationError> {
    channels::find(conn, caller.account, channel).await?.ok_or(ConversationError::NotFound("channel"))?;
    Ok(visitor_keys::list_good(conn, caller.account, channel, at).await?)
}
