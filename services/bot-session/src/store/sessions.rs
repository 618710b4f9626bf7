//! Table `bot_sessions`.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, SelectExt,
    sea_query::{LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    columns,
    entity::bot_session::{Column, Entity, Model},
};
use crate::domain::{Session, SessionStatus};

/// Where a page of sessions begins: before this start and id.
pub(crate) type SessionCursor = (Time, Uuid);

/// Which sessions to list. None: any.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionFilter {
    pub(crate) bot: Option<Uuid>,
    pub(crate) conversation: Option<Uuid>,
    pub(crate) status: Option<SessionStatus>,
}

/// Inserts a session. Returns false, and changes nothing, when there is one with its id.
pub(crate) async fn insert(tx: &Tx, session: &Session) -> Result<bool, DbErr> {
    let inserted = Entity::insert(to_row(session)?.into_active_model())
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == 1)
}

/// Updates a session that was found with [`find_for_update`], except its flow, which never changes.
pub(crate) async fn save(tx: &Tx, session: &Session) -> Result<(), DbErr> {
    let mut row = to_row(session)?.into_active_model().reset_all();
    row.flow = sea_orm::ActiveValue::NotSet;
    Entity::update(row).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the session. None: the account has none with this id.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).one(conn).await?.map(from_row).transpose()
}

/// Returns whether the session is open and has not answered the message of this sequence. Reads no flow, because it
/// runs for each message of a visitor.
pub(crate) async fn has_unanswered<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
    sequence: i64,
) -> Result<bool, DbErr> {
    Entity::find_by_id(id)
        .filter(Column::AccountId.eq(account))
        .filter(Column::Status.eq(columns::OPEN))
        .filter(Column::LastSequence.lt(sequence))
        .exists(conn)
        .await
}

/// Returns the session, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await?;
    row.map(from_row).transpose()
}

/// Returns the session, locked until the transaction ends. None also when another transaction has locked the row.
pub(crate) async fn find_for_update_skip_locked(
    tx: &Tx,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Session>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    let row = row.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).one(tx.conn()).await?;
    row.map(from_row).transpose()
}

/// Returns the sessions, newest first. Up to `size` + 1 of them: the additional one says that another page follows.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &SessionFilter,
    after: Option<&SessionCursor>,
    size: u64,
) -> Result<Vec<Session>, DbErr> {
    let mut condition = Condition::all().add(Column::AccountId.eq(account));
    if let Some(bot) = filter.bot {
        condition = condition.add(Column::BotId.eq(bot));
    }
    if let Some(conversation) = filter.conversation {
        condition = condition.add(Column::ConversationId.eq(conversation));
    }
    if let Some(status) = filter.status {
        condition = condition.add(Column::Status.eq(columns::status_text(status)));
    }
    if let Some((started_at, id)) = after {
        let same_start = Column::StartedAt.eq(*started_at).and(Column::Id.lt(*id));
        condition = condition.add(Condition::any().add(Column::StartedAt.lt(*started_at)).add(same_start));
    }
    let query = Entity::find().filter(condition).order_by_desc(Column::StartedAt).order_by_desc(Column::Id);
    query.limit(size + 1).all(conn).await?.into_iter().map(from_row).collect()
}

fn to_row(session: &Session) -> Result<Model, DbErr> {
    Ok(Model {
        id: session.id,
        account_id: session.account,
        bot_id: session.bot,
        conversation_id: session.conversation,
        status: columns::status_text(session.status).to_owned(),
        flow: columns::flow_json(&session.flow)?,
        step_id: session.step.clone(),
        last_sequence: session.last_sequence,
        turn: session.turn,
        timeout_us: columns::micros(session.timeout),
        started_at: session.started_at,
        deadline_at: session.deadline_at,
        next_check_at: session.next_check_at,
        ended_at: session.ended_at,
        version: session.version,
    })
}

fn from_row(row: Model) -> Result<Session, DbErr> {
    Ok(Session {
        id: row.id,
        account: row.account_id,
        bot: row.bot_id,
        conversation: row.conversation_id,
        status: columns::status(&row.status)?,
        flow: columns::flow(&row.flow)?,
        step: row.step_id,
        last_sequence: row.last_sequence,
        turn: row.turn,
        timeout: columns::timeout(row.timeout_us),
        started_at: row.started_at,
        deadline_at: row.deadline_at,
        next_check_at: row.next_check_at,
        ended_at: row.ended_at,
        version: row.version,
    })
}
