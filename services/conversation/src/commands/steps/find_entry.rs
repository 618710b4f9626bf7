//! The entry that the first request with a repeated id appended.

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{domain::Entry, error::ConversationError, store::entries};

pub(crate) async fn find_entry<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    sequence: i64,
) -> Result<Entry, ConversationError> {
    let entry = entries::find(conn, account, conversation, sequence).await?;
    Ok(entry.ok_or_else(|| DbErr::RecordNotFound("the entry of a repeated request".into()))?)
}
