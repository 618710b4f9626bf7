//! One conversation, with the names in it.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
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

pub(crate) async fn get_conversation(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<(Conversation, DisplayNames), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conversation = read_conversation(&read.conn(), caller.account, id).await?;
    let names = display_names::find(&read.conn(), &conversation, &[]).await?;
    Ok((conversation, names))
}

/// For queries about a conversation.
pub(super) async fn read_conversation<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Conversation, ConversationError> {
    conversations::find(conn, account, id).await?.ok_or(ConversationError::NotFound("conversation"))
}
