//! The sessions.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, SelectExt,
    sea_query::{LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::entity::bot_session::{Column, Entity, Model};
use crate::domain::{Session, Status};

/// Where a page of sessions begins: before this start and id.
pub(crate) type Cursor = (Time, Uuid);

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) bot: Option<Uuid>,
    pub(crate) conversation: Option<Uuid>,
    pub(crate) status: Option<Status>,
}

/// Adds a session. False: it is there already.
pub(crate) async fn insert(tx: &Tx, session: &Session) -> Result<bool, DbErr> {
    let inserted = Entity::insert(write(session)?.into_active_model())
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == 1)
}

/// Writes a session that was found with [`find_for_update`]. Its flow never changes.
pub(crate) async fn save(tx: &Tx, session: &Session) -> Result<(), DbErr> {
    let mut row = write(session)?.into_active_model().reset_all();
    row.flow = sea_orm::ActiveValue::NotSet;
    Entity::update(row).exec(tx.conn()).await?;
    Ok(())
}

/// The session, if the account has it.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).one(conn).await?.map(read).transpose()
}

/// True: the session is open and stands before this sequence. Reads no flow: visitors who flood a chat make it often.
pub(crate) async fn has_to_answer<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
    sequence: i64,
) -> Result<bool, DbErr> {
    Entity::find_by_id(id)
        .filter(Column::AccountId.eq(account))
        .filter(Column::Status.eq(Status::Open.as_str()))
        .filter(Column::LastSequence.lt(sequence))
        .exists(conn)
        .await
}

/// The session, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await?;
    row.map(read).transpose()
}

/// The same; None also when somebody else has it locked.
pub(crate) async fn find_for_update_if_free(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    let row = row.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).one(tx.conn()).await?;
    row.map(read).transpose()
}

/// Sessions newest first, one more than asked for, so that the caller knows whether there are more.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &Filter,
    after: Option<&Cursor>,
    size: u64,
) -> Result<Vec<Session>, DbErr> {
    let mut wanted = Condition::all().add(Column::AccountId.eq(account));
    if let Some(bot) = filter.bot {
        wanted = wanted.add(Column::BotId.eq(bot));
    }
    if let Some(conversation) = filter.conversation {
        wanted = wanted.add(Column::ConversationId.eq(conversation));
    }
    if let Some(status) = filter.status {
        wanted = wanted.add(Column::Status.eq(status.as_str()));
    }
    if let Some((started_at, id)) = after {
        let same_start = Column::StartedAt.eq(*started_at).and(Column::Id.lt(*id));
        wanted = wanted.add(Condition::any().add(Column::StartedAt.lt(*started_at)).add(same_start));
    }
    let query = Entity::find().filter(wanted).order_by_desc(Column::StartedAt).order_by_desc(Column::Id);
    query.limit(size + 1).all(conn).await?.into_iter().map(read).collect()
}

fn write(session: &Session) -> Result<Model, DbErr> {
    Ok(Model {
        id: session.id,
        account_id: session.account,
        bot_id: session.bot,
        conversation_id: session.conversation,
        status: session.status.as_str().to_owned(),
        flow: super::write_flow(&session.flow)?,
        step_id: session.step.clone(),
        last_sequence: session.last_sequence,
        turn: session.turn,
        timeout_us: super::micros(session.timeout),
        started_at: session.started_at,
        deadline_at: session.deadline_at,
        ask_at: session.ask_at,
        ended_at: session.ended_at,
        version: session.version,
    })
}

fn read(row: Model) -> Result<Session, DbErr> {
    let status = Status::parse(&row.status).ok_or_else(|| DbErr::Type(format!("unknown status {}", row.status)))?;
    Ok(Session {
        id: row.id,
        account: row.account_id,
        bot: row.bot_id,
        conversation: row.conversation_id,
        status,
        flow: super::read_flow(&row.flow)?,
        step: row.step_id,
        last_sequence: row.last_sequence,
        turn: row.turn,
        timeout: super::timeout(row.timeout_us),
        started_at: row.started_at,
        deadline_at: row.deadline_at,
        ask_at: row.ask_at,
        ended_at: row.ended_at,
        version: row.version,
    })
}
