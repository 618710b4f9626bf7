//! The history of owners.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::entity::assignment::{Column, Entity, Model};
use crate::domain::Assignment;

/// Records an assignment, complete. The command that made the change and the event that reports it record the same facts, so
/// the first of them writes the row and the second changes nothing.
pub(crate) async fn record(tx: &Tx, account: AccountId, assignment: Assignment) -> Result<(), DbErr> {
    let once = OnConflict::columns([Column::AccountId, Column::ConversationId, Column::Epoch]).do_nothing().to_owned();
    Entity::insert(Model::new(account, assignment).into_active_model())
        .on_conflict(once)
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// Returns the assignment that began with an epoch.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
) -> Result<Option<Assignment>, DbErr> {
    Ok(Entity::find_by_id((account.0, conversation, epoch)).one(conn).await?.map(Assignment::from))
}

/// Returns the newest assignments of a conversation, at most `limit`, sorted by epoch.
pub(crate) async fn list_newest<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    limit: u64,
) -> Result<Vec<Assignment>, DbErr> {
    let mut rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .order_by_desc(Column::Epoch)
        .limit(limit)
        .all(conn)
        .await?;
    rows.reverse();
    Ok(rows.into_iter().map(Assignment::from).collect())
}
