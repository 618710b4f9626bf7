//! When routing looks at an account next. The lock of the row makes the decisions of the account serial. A transaction
//! takes it before it changes rows of the queue.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};

use super::entity::routing_account::{Column, Entity, Model};

/// An account that is locked for a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueAccount {
    pub(crate) account: AccountId,
    /// Number of the last turn.
    pub(crate) last_turn: i64,
}

/// Locks the account until the transaction ends.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Locks the account until the transaction ends, and has routing look at it then. Without a row nothing ever waited, and nothing happens.
pub(crate) async fn wake(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    // Always written: a decision that is made meanwhile does not see this transaction, and must be made again after it.
    Entity::update_many()
        .col_expr(Column::LookAt, Expr::value(tx.now().await?))
        .filter(Column::AccountId.eq(account))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The same, for an account in which a conversation begins to wait.
pub(crate) async fn wake_or_insert(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    let row = Model { account_id: account.0, look_at: Some(tx.now().await?), last_turn: 0 }.into_active_model();
    let wake = OnConflict::column(Column::AccountId).update_column(Column::LookAt).to_owned();
    Entity::insert(row).on_conflict(wake).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the time of the next look, over all accounts. None: nothing waits.
pub(crate) async fn find_next_look_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let looks = Entity::find().filter(Column::LookAt.is_not_null());
    let next: Option<Option<i64>> =
        looks.select_only().column_as(Column::LookAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Locks the account whose look is due the longest, unless other transactions have locked all that are.
pub(crate) async fn find_due_for_update(tx: &Tx, now: Time) -> Result<Option<DueAccount>, DbErr> {
    let row = Entity::find()
        .filter(Column::LookAt.is_not_null())
        .filter(Column::LookAt.lte(now))
        .order_by_asc(Column::LookAt)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(tx.conn())
        .await?;
    Ok(row.map(|row| DueAccount { account: AccountId(row.account_id), last_turn: row.last_turn }))
}

/// Stores what a decision leads to. The account is locked.
pub(crate) async fn save(tx: &Tx, account: AccountId, last_turn: i64, look_at: Option<Time>) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::LookAt, Expr::value(look_at))
        .col_expr(Column::LastTurn, Expr::value(last_turn))
        .filter(Column::AccountId.eq(account))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Puts the next look off until this time.
pub(crate) async fn put_off(tx: &Tx, account: AccountId, until: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::LookAt, Expr::value(until))
        .filter(Column::AccountId.eq(account))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the number of the account's last turn.
pub(crate) async fn find_last_turn<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<i64, DbErr> {
    Ok(Entity::find_by_id(account.0).one(conn).await?.map_or(0, |row| row.last_turn))
}
