//! The agents whose open conversations are looked at, because they were deactivated or vanished.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::entity::agent_return::{Column, Entity, Model};

/// An agent whose conversations one replica looks at until its lease ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenAgent {
    pub(crate) account: AccountId,
    pub(crate) agent: Uuid,
    /// The last conversation of the page before. None: it begins with the first one.
    pub(crate) after: Option<Uuid>,
    /// The end of the lease. Another time in the row says that the agent is to be looked at from the beginning.
    pub(crate) leased_until: Time,
}

/// Has a replica look at all conversations of the agent now. Always written: one that is looking at them does not see this transaction,
/// and looks again after it.
pub(crate) async fn schedule(tx: &Tx, account: AccountId, agent: Uuid) -> Result<(), DbErr> {
    let again = OnConflict::columns([Column::AccountId, Column::AgentId])
        .update_columns([Column::DueAt, Column::AfterId])
        .to_owned();
    let row = Model { account_id: account.0, agent_id: agent, due_at: tx.now().await?, after_id: None };
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the time of the next look, over all accounts. None: there is none.
pub(crate) async fn find_next_due_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let next: Option<Option<i64>> =
        of_accounts_in_use().select_only().column_as(Column::DueAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Takes the agent whose look is due the longest, over all accounts, unless other transactions have locked all that are.
pub(crate) async fn take_due(tx: &Tx, now: Time, leased_until: Time) -> Result<Option<TakenAgent>, DbErr> {
    let due = of_accounts_in_use()
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(tx.conn())
        .await?;
    let Some(row) = due else { return Ok(None) };
    let account = AccountId(row.account_id);
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(leased_until))
        .filter(one(account, row.agent_id))
        .exec(tx.conn())
        .await?;
    Ok(Some(TakenAgent { account, agent: row.agent_id, after: row.after_id, leased_until }))
}

fn of_accounts_in_use() -> Select<Entity> {
    Entity::find().filter(Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use()))
}

/// Ends the lease: the next look is at `due_at`, after this conversation. Without effect when the agent was scheduled again.
pub(crate) async fn look_again(tx: &Tx, taken: &TakenAgent, due_at: Time, after: Option<Uuid>) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(Column::AfterId, Expr::value(after))
        .filter(leased(taken))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Ends the lease: nothing is left to be looked at. Without effect when the agent was scheduled again.
pub(crate) async fn remove(tx: &Tx, taken: &TakenAgent) -> Result<(), DbErr> {
    Entity::delete_many().filter(leased(taken)).exec(tx.conn()).await?;
    Ok(())
}

fn leased(taken: &TakenAgent) -> Condition {
    one(taken.account, taken.agent).add(Column::DueAt.eq(taken.leased_until))
}

fn one(account: AccountId, agent: Uuid) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::AgentId.eq(agent))
}
