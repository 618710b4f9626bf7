//! The history of owners.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select,
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

/// The same for several assignments. `assignments`: in the order of their accounts, conversations and epochs, so that two transactions that
/// record the same ones wait for each other, and never in a circle.
pub(crate) async fn record_all(
    tx: &Tx,
    assignments: impl IntoIterator<Item = (AccountId, Assignment)>,
) -> Result<(), DbErr> {
    let row = |(account, assignment)| Model::new(account, assignment).into_active_model();
    let rows = assignments.into_iter().map(row);
    let once = OnConflict::columns([Column::AccountId, Column::ConversationId, Column::Epoch]).do_nothing().to_owned();
    Entity::insert_many(rows).on_conflict(once).exec_without_returning(tx.conn()).await?;
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

/// Returns the newest assignment of a conversation.
pub(crate) async fn find_newest<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
) -> Result<Option<Assignment>, DbErr> {
    let newest = of(account, conversation).order_by_desc(Column::Epoch).one(conn).await?;
    Ok(newest.map(Assignment::from))
}

/// Returns the assignments of a conversation that began after an epoch, oldest first: one more than `size`, so that the caller
/// knows whether there is a next page and when the last period of this one ends.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    after: i64,
    size: u64,
) -> Result<Vec<Assignment>, DbErr> {
    let rows = of(account, conversation)
        .filter(Column::Epoch.gt(after))
        .order_by_asc(Column::Epoch)
        .limit(size + 1)
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

fn of(account: AccountId, conversation: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation))
}
