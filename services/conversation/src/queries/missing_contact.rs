//! Why a contact is not found.

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    error::ConversationError,
    store::{contact_jobs, contacts},
};

/// The error for a contact that does not exist: it never did, or it was erased (rule X2).
pub(crate) async fn missing_contact<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<ConversationError, DbErr> {
    let id = contacts::resolve(conn, account, id).await?;
    let erasure = contact_jobs::find_erasure(conn, account, id).await?;
    Ok(erasure.map_or(ConversationError::NotFound("contact"), |_| ConversationError::ErasedContact))
}
