//! When routing looks at an account next. The lock of the row makes the decisions of the account serial. A transaction
//! takes it before it changes rows of the queue, and before rows of the owners of its conversations.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, is_conflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};

use super::entity::routing_account::{Column, Entity, Model};

/// Number of the last turn in an account in which nothing ever waited: its row is there to be locked, and it needs no decision. An older
/// binary counts turns from there.
const NOTHING_WAITED: i64 = -1;

/// Maximum time that a decision waits for the lock of an account (milliseconds): then it looks for another one.
const MAX_LOCK_WAIT: Duration = Duration::from_millis(100);

/// An account that is locked for a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueAccount {
    pub(crate) account: AccountId,
    /// Number of the last turn.
    pub(crate) last_turn: i64,
}

impl From<Model> for DueAccount {
    fn from(row: Model) -> Self {
        Self { account: AccountId(row.account_id), last_turn: row.last_turn }
    }
}

/// Locks the account until the transaction ends.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Locks the account until the transaction ends, and has routing look at it then, unless nothing ever waited there.
pub(crate) async fn wake(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    let now = tx.now().await?;
    // Always written: a decision that is made meanwhile does not see this transaction, and must be made again after it.
    let woken = Entity::update_many()
        .col_expr(Column::LookAt, look_at_of_woken(now))
        .filter(Column::AccountId.eq(account))
        .exec(tx.conn())
        .await?;
    if woken.rows_affected == 0 {
        // The first one of the account has a row to lock too. Otherwise it would lock rows of conversations first, and the account after them
        // when one begins to wait: two transactions could wait for each other.
        let row = Model { account_id: account.0, look_at: None, last_turn: NOTHING_WAITED }.into_active_model();
        let exists = OnConflict::column(Column::AccountId).value(Column::LookAt, look_at_of_woken(now)).to_owned();
        Entity::insert(row).on_conflict(exists).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

fn look_at_of_woken(now: Time) -> Expr {
    let anything_waited = Expr::col((Entity, Column::LastTurn)).gt(NOTHING_WAITED);
    Expr::case(anything_waited.and(is_not_due(now)), Expr::value(now))
        .finally(Expr::col((Entity, Column::LookAt)))
        .into()
}

/// One that is due keeps its time: otherwise an account with many events would always come after the others.
fn is_not_due(now: Time) -> Expr {
    let look_at = || Expr::col((Entity, Column::LookAt));
    look_at().is_null().or(look_at().gt(Expr::value(now)))
}

/// The same, for an account in which a conversation begins to wait.
pub(crate) async fn wake_or_insert(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    let now = tx.now().await?;
    let row = Model { account_id: account.0, look_at: Some(now), last_turn: 0 }.into_active_model();
    let last_turn = || Expr::col((Entity, Column::LastTurn));
    let last_turn = Expr::case(last_turn().gt(NOTHING_WAITED), last_turn()).finally(Expr::value(0_i64));
    let look_at = Expr::case(is_not_due(now), Expr::value(now)).finally(Expr::col((Entity, Column::LookAt)));
    let wake = OnConflict::column(Column::AccountId)
        .value(Column::LookAt, look_at)
        .value(Column::LastTurn, last_turn)
        .to_owned();
    Entity::insert(row).on_conflict(wake).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the time of the next look, over all accounts. None: nothing waits.
pub(crate) async fn find_next_look_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let next: Option<Option<i64>> =
        with_look().select_only().column_as(Column::LookAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Locks the account whose look is due the longest, unless other transactions have locked all that are.
pub(crate) async fn find_due_for_update(tx: &Tx, now: Time) -> Result<Option<DueAccount>, DbErr> {
    let row = due(now).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).one(tx.conn()).await?;
    Ok(row.map(DueAccount::from))
}

/// Waits for the lock of the account whose look is due the longest, for a short time: one whose lock many transactions take in turn, as
/// after a burst of its events, is free only for those that wait.
pub(crate) async fn wait_for_due(tx: &Tx, now: Time) -> Result<Option<DueAccount>, DbErr> {
    let Some(longest) = due(now).one(tx.conn()).await? else { return Ok(None) };
    tx.limit_lock_waits(Some(MAX_LOCK_WAIT)).await?;
    let locked = match Entity::find_by_id(longest.account_id).lock_exclusive().one(tx.conn()).await {
        Err(error) if is_conflict(&error) => return Ok(None),
        locked => locked?,
    };
    tx.limit_lock_waits(None).await?;
    // Another replica may have decided meanwhile.
    let now = tx.now().await?;
    Ok(locked.filter(|row| row.look_at.is_some_and(|look_at| look_at <= now)).map(DueAccount::from))
}

fn due(now: Time) -> Select<Entity> {
    with_look().filter(Column::LookAt.lte(now)).order_by_asc(Column::LookAt)
}

/// Selects the accounts that routing looks at, of those that are in use.
fn with_look() -> Select<Entity> {
    let in_use = Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use());
    Entity::find().filter(Column::LookAt.is_not_null()).filter(in_use)
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
    Ok(Entity::find_by_id(account.0).one(conn).await?.map_or(0, |row| Ord::max(row.last_turn, 0)))
}
