//! Table `engine_turns`: the turns of bots that are programs of the customer's. A transaction locks the session before its turn.

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, SelectExt,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    columns,
    entity::{
        bot_session,
        engine_turn::{Column, Entity, LEASED, Model, OVER, WAITING},
    },
};
use crate::domain::{DueSession, EngineTurn, Session};

/// Inserts a turn. The session is locked, and has no other that is not over.
pub(crate) async fn insert(tx: &Tx, turn: &EngineTurn) -> Result<(), DbErr> {
    Entity::insert(Model::from(turn).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Updates a turn that was locked.
pub(crate) async fn save(tx: &Tx, turn: &EngineTurn) -> Result<(), DbErr> {
    Model::from(turn).into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the turn of the bot. None: it has none with this id.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    bot: Uuid,
    id: Uuid,
) -> Result<Option<EngineTurn>, DbErr> {
    Ok(of_bot(account, bot, id).one(conn).await?.map(EngineTurn::from))
}

/// Returns the turn of the bot, locked until the transaction ends.
pub(crate) async fn find_for_update(
    tx: &Tx,
    account: AccountId,
    bot: Uuid,
    id: Uuid,
) -> Result<Option<EngineTurn>, DbErr> {
    Ok(of_bot(account, bot, id).lock_exclusive().one(tx.conn()).await?.map(EngineTurn::from))
}

/// Returns the session's turn that is not over, locked until the transaction ends. None: it has none.
pub(crate) async fn find_open_for_update(
    tx: &Tx,
    account: AccountId,
    session: Uuid,
) -> Result<Option<EngineTurn>, DbErr> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::SessionId.eq(session));
    let open = query.filter(Column::State.ne(OVER)).lock_exclusive();
    Ok(open.one(tx.conn()).await?.map(EngineTurn::from))
}

/// Ends the turns of these sessions, which are locked, that are not over. Returns whether there were any.
pub(crate) async fn end_of_sessions(tx: &Tx, sessions: &[Session]) -> Result<bool, DbErr> {
    if sessions.is_empty() {
        return Ok(false);
    }
    let ended = Entity::update_many()
        .col_expr(Column::State, Expr::value(OVER))
        .col_expr(Column::DueAt, Expr::value(None::<Time>))
        .filter(Column::AccountId.is_in(sessions.iter().map(|session| session.account)))
        .filter(Column::SessionId.is_in(sessions.iter().map(|session| session.id)))
        .filter(Column::State.ne(OVER))
        .exec(tx.conn())
        .await?;
    Ok(ended.rows_affected > 0)
}

/// Returns whether a turn of the bot waits for a stream.
pub(crate) async fn has_waiting<C: ConnectionTrait>(conn: &C, account: AccountId, bot: Uuid) -> Result<bool, DbErr> {
    waiting(account, bot).exists(conn).await
}

/// Returns the turns that are leased to the stream, with their attempts.
pub(crate) async fn list_leased<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    stream: Uuid,
) -> Result<HashSet<(Uuid, i64)>, DbErr> {
    let of_stream = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::StreamId.eq(stream));
    let leased = of_stream.filter(Column::State.eq(LEASED)).select_only().columns([Column::Id, Column::Attempt]);
    Ok(leased.into_tuple::<(Uuid, i64)>().all(conn).await?.into_iter().collect())
}

/// Returns those of these sessions, over all accounts, whose bot owes its visitor an answer: they have an open turn that answers a
/// message.
pub(crate) async fn list_owing(tx: &Tx, due: &[DueSession]) -> Result<HashSet<Uuid>, DbErr> {
    let open = Entity::find()
        .filter(Column::SessionId.is_in(due.iter().map(|due| due.session)))
        .filter(Column::State.ne(OVER))
        .filter(Expr::col(Column::NewestSequence).gt(Expr::col(Column::PreviousSequence)));
    let sessions = open.select_only().column(Column::SessionId).into_tuple::<Uuid>();
    Ok(sessions.all(tx.conn()).await?.into_iter().collect())
}

/// Returns up to `limit` turns of the bot that wait for a stream, the oldest first, locked until the transaction ends. Skips those
/// that another transaction has locked, and those whose session has ended.
pub(crate) async fn list_waiting_for_update(
    tx: &Tx,
    account: AccountId,
    bot: Uuid,
    limit: u64,
) -> Result<Vec<EngineTurn>, DbErr> {
    let open = bot_session::Entity::find()
        .filter(bot_session::Column::AccountId.eq(account))
        .filter(bot_session::Column::Status.eq(columns::OPEN))
        .select_only()
        .column(bot_session::Column::Id)
        .into_query();
    let rows = waiting(account, bot)
        .filter(Column::SessionId.in_subquery(open))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(EngineTurn::from).collect())
}

/// Returns when the next turn is late in its state, over all accounts. None: no turn is open.
pub(crate) async fn find_next_due_at<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let next: Option<Option<i64>> =
        with_due().select_only().column_as(Column::DueAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Returns up to `limit` turns that are late in their state, the earliest first, over all accounts, locked until the transaction
/// ends. Skips those that another transaction has locked.
pub(crate) async fn list_due_for_update(tx: &Tx, now: Time, limit: u64) -> Result<Vec<EngineTurn>, DbErr> {
    let rows = with_due()
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(EngineTurn::from).collect())
}

/// Selects the turns that are late at some time, of accounts that are in use.
fn with_due() -> Select<Entity> {
    let of_accounts = Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use());
    Entity::find().filter(Column::DueAt.is_not_null()).filter(of_accounts)
}

fn of_bot(account: AccountId, bot: Uuid, id: Uuid) -> Select<Entity> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).filter(Column::BotId.eq(bot))
}

fn waiting(account: AccountId, bot: Uuid) -> Select<Entity> {
    let of_bot = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::BotId.eq(bot));
    of_bot.filter(Column::State.eq(WAITING))
}
