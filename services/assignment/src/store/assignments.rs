//! The history of owners.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Alias, Expr, OnConflict},
};
use uuid::Uuid;

use super::entity::assignment::{Column, Entity, Model};
use crate::domain::Stretch;

/// Records a stretch. Again changes nothing, and the order of several records of one epoch does not matter: the earliest
/// one stays, for it is what began the epoch. Of two of the same moment the higher cause stays: who made the change knows
/// its cause better than who heard of it.
pub(crate) async fn record(tx: &Tx, account: AccountId, stretch: &Stretch) -> Result<(), DbErr> {
    let new = |column: Column| Expr::col((Alias::new("excluded"), column));
    let old = |column: Column| Expr::col((Entity, column));
    let better = Condition::any()
        .add(new(Column::StartedAt).lt(old(Column::StartedAt)))
        .add(new(Column::StartedAt).eq(old(Column::StartedAt)).and(new(Column::Cause).gt(old(Column::Cause))));
    let once = OnConflict::columns([Column::AccountId, Column::ConversationId, Column::Epoch])
        .update_columns([
            Column::OwnerKind,
            Column::OwnerId,
            Column::ByKind,
            Column::ById,
            Column::Cause,
            Column::StartedAt,
        ])
        .action_cond_where(better)
        .to_owned();
    Entity::insert(Model::new(account, stretch.clone()).into_active_model())
        .on_conflict(once)
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// The stretch that an epoch began.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
) -> Result<Option<Stretch>, DbErr> {
    Ok(Entity::find_by_id((account.0, conversation, epoch)).one(conn).await?.map(Stretch::from))
}

/// The newest stretches of a conversation, at most `limit`, by epoch.
pub(crate) async fn newest<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    limit: u64,
) -> Result<Vec<Stretch>, DbErr> {
    let mut rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .order_by_desc(Column::Epoch)
        .limit(limit)
        .all(conn)
        .await?;
    rows.reverse();
    Ok(rows.into_iter().map(Stretch::from).collect())
}
