//! Table `bot_sessions`. A session names the version of its bot whose flow it runs ([`flows`](super::flows)). Sessions that began
//! before flows had a table of their own have a copy, which only [`find_flow`] reads.

use std::{cmp::Reverse, collections::BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, SelectExt, Statement, Value,
    sea_query::{LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    columns,
    entity::bot_session::{ActiveModel, Column, Entity, WithoutFlow},
    flows,
};
use crate::domain::{Choices, DueSession, Engine, Flow, Program, Session, SessionStatus};

/// Where a page of sessions begins: before this start and id.
pub(crate) type SessionCursor = (Time, Uuid);

/// Which sessions to list. None, and no statuses: any.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionFilter {
    pub(crate) bot: Option<Uuid>,
    pub(crate) conversation: Option<Uuid>,
    pub(crate) statuses: BTreeSet<SessionStatus>,
}

/// Inserts a session. Returns false, and changes nothing, when there is one with its id.
pub(crate) async fn insert(tx: &Tx, session: &Session) -> Result<bool, DbErr> {
    let row = ActiveModel { flow: Set(String::new()), flow_version: Set(session.flow_version), ..to_row(session)? };
    let inserted = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == 1)
}

/// Updates a session that was found with [`find_for_update`].
pub(crate) async fn save(tx: &Tx, session: &Session) -> Result<(), DbErr> {
    Entity::update(to_row(session)?).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the session. None: the account has none with this id.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    query.into_partial_model::<WithoutFlow>().one(conn).await?.map(from_row).transpose()
}

/// The flow of a session.
#[derive(Debug)]
pub(crate) enum SessionFlow {
    /// The flow.
    Valid(Flow),
    /// None: a program of the customer's takes the turns.
    Engine(Engine),
    /// There is none, or it cannot be read, for this reason.
    Unreadable(String),
}

/// Returns the flow of the session. None: the account has no session with this id.
pub(crate) async fn find_flow<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<SessionFlow>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).select_only();
    let query = query.columns([Column::BotId, Column::FlowVersion, Column::Flow]);
    let row: Option<(Uuid, Option<i64>, String)> = query.into_tuple().one(conn).await?;
    let Some((bot, version, copy)) = row else { return Ok(None) };
    let text = match version {
        Some(version) => flows::find_text(conn, account, bot, version).await?,
        None => Some(copy),
    };
    Ok(Some(match columns::program(&text.unwrap_or_default()) {
        Ok((Program::Flow(flow), _)) => SessionFlow::Valid(flow),
        Ok((Program::Engine(engine), _)) => SessionFlow::Engine(engine),
        Err(error) => SessionFlow::Unreadable(error.to_string()),
    }))
}

/// Returns whether an open session of the bot began with one of these versions of it.
pub(crate) async fn has_open_of_versions<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    bot: Uuid,
    versions: &[i64],
) -> Result<bool, DbErr> {
    if versions.is_empty() {
        return Ok(false);
    }
    Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::BotId.eq(bot))
        .filter(Column::Status.eq(columns::OPEN))
        .filter(Column::FlowVersion.is_in(versions.iter().copied()))
        .exists(conn)
        .await
}

/// Returns the session, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Session>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive();
    query.into_partial_model::<WithoutFlow>().one(tx.conn()).await?.map(from_row).transpose()
}

/// Returns those of these sessions that are open and that no other transaction has locked, locked until the transaction ends.
pub(crate) async fn list_open_for_update_skip_locked(tx: &Tx, due: &[DueSession]) -> Result<Vec<Session>, DbErr> {
    let query = Entity::find()
        .filter(Column::Id.is_in(due.iter().map(|due| due.session)))
        .filter(Column::Status.eq(columns::OPEN))
        .order_by_asc(Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    query.into_partial_model::<WithoutFlow>().all(tx.conn()).await?.into_iter().map(from_row).collect()
}

/// The statement of [`save_checked`] on PostgreSQL, with one text for any number of sessions. Zero stands for no time: arrays of
/// sea-orm hold no NULL.
const SAVE_CHECKED: &str = "UPDATE bot_sessions AS old SET status = new.status, deadline_at = NULLIF(new.deadline_at, 0), \
    ask_at = NULLIF(new.ask_at, 0), failed_checks = new.failed_checks, ended_at = NULLIF(new.ended_at, 0), version = new.version \
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) \
    AS new (id, status, deadline_at, ask_at, failed_checks, ended_at, version) WHERE old.id = new.id";

/// Updates sessions that were found with [`list_open_for_update_skip_locked`], in what a check of their timeout changes.
pub(crate) async fn save_checked(tx: &Tx, sessions: &[Session]) -> Result<(), DbErr> {
    if tx.conn().get_database_backend() != DbBackend::Postgres {
        // SQLite is in this process: a statement is no round trip.
        for session in sessions {
            save(tx, session).await?;
        }
        return Ok(());
    }
    let micros = |time: fn(&Session) -> Option<Time>| -> Value {
        sessions.iter().map(|session| time(session).map_or(0, |time| time.0)).collect::<Vec<i64>>().into()
    };
    let values: [Value; 7] = [
        sessions.iter().map(|session| session.id).collect::<Vec<_>>().into(),
        sessions.iter().map(|session| columns::status_text(session.status).to_owned()).collect::<Vec<_>>().into(),
        micros(|session| session.deadline_at),
        micros(|session| session.next_check_at),
        sessions.iter().map(|session| i64::from(session.failed_checks)).collect::<Vec<_>>().into(),
        micros(|session| session.ended_at),
        sessions.iter().map(|session| session.version).collect::<Vec<_>>().into(),
    ];
    tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, SAVE_CHECKED, values)).await?;
    Ok(())
}

/// Returns the sessions, newest first. Up to `size` + 1 of them: the additional one says that another page follows.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &SessionFilter,
    after: Option<&SessionCursor>,
    size: u64,
) -> Result<Vec<Session>, DbErr> {
    let query = Entity::find().filter(condition(account, filter, after)).limit(size + 1);
    let query = query.order_by_desc(Column::StartedAt).order_by_desc(Column::Id);
    if filter.statuses.is_empty() {
        return query.into_partial_model::<WithoutFlow>().all(conn).await?.into_iter().map(from_row).collect();
    }
    // One query for each status: each reads a range of one index in its order, where a list of statuses would sort.
    let mut rows = Vec::new();
    for status in &filter.statuses {
        let of_status = query.clone().filter(Column::Status.eq(columns::status_text(*status)));
        rows.extend(of_status.into_partial_model::<WithoutFlow>().all(conn).await?);
    }
    rows.sort_by_key(|row| Reverse((row.started_at, row.id)));
    rows.truncate(usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1));
    rows.into_iter().map(from_row).collect()
}

/// The sessions of the filter's bot and conversation that follow on the previous page.
fn condition(account: AccountId, filter: &SessionFilter, after: Option<&SessionCursor>) -> Condition {
    // The start alone bounds the range of the index; an OR at the top would read it from its beginning.
    let before = |(started_at, id): &SessionCursor| {
        Column::StartedAt.lte(*started_at).and(Column::StartedAt.lt(*started_at).or(Column::Id.lt(*id)))
    };
    Condition::all()
        .add(Column::AccountId.eq(account))
        .add_option(filter.bot.map(|bot| Column::BotId.eq(bot)))
        .add_option(filter.conversation.map(|conversation| Column::ConversationId.eq(conversation)))
        .add_option(after.map(before))
}

/// The columns of a session that may change.
fn to_row(session: &Session) -> Result<ActiveModel, DbErr> {
    Ok(ActiveModel {
        id: Set(session.id),
        account_id: Set(session.account),
        bot_id: Set(session.bot),
        conversation_id: Set(session.conversation),
        status: Set(columns::status_text(session.status).to_owned()),
        flow: NotSet,
        step_id: Set(session.step.clone()),
        last_sequence: Set(session.last_sequence),
        turn: Set(session.turn),
        timeout_us: Set(columns::micros(session.timeout)),
        started_at: Set(session.started_at),
        deadline_at: Set(session.deadline_at),
        next_check_at: Set(session.next_check_at),
        ended_at: Set(session.ended_at),
        version: Set(session.version),
        flow_version: NotSet,
        question_sequence: Set(session.question),
        failed_checks: Set(session.failed_checks.into()),
        reminder_before_us: Set(columns::micros(session.reminder_before)),
        reminded_of_at: Set(session.reminded_of),
        answers: Set(columns::json(&session.answers)?),
        wrong_answers: Set(session.wrong_answers.into()),
        choices: Set(Some(&session.choices)
            .filter(|made| **made != Choices::default())
            .map(columns::json)
            .transpose()?),
    })
}

fn from_row(row: WithoutFlow) -> Result<Session, DbErr> {
    Ok(Session {
        id: row.id,
        account: row.account_id,
        bot: row.bot_id,
        conversation: row.conversation_id,
        status: columns::status(&row.status)?,
        step: row.step_id,
        last_sequence: row.last_sequence,
        turn: row.turn,
        timeout: columns::timeout(row.timeout_us),
        started_at: row.started_at,
        deadline_at: row.deadline_at,
        next_check_at: row.next_check_at,
        ended_at: row.ended_at,
        version: row.version,
        flow_version: row.flow_version,
        question: row.question_sequence,
        failed_checks: u32::try_from(row.failed_checks).unwrap_or(0),
        reminder_before: columns::timeout(row.reminder_before_us),
        reminded_of: row.reminded_of_at,
        answers: columns::from_json(&row.answers)?,
        wrong_answers: u32::try_from(row.wrong_answers).unwrap_or(0),
        choices: row.choices.as_deref().map(columns::from_json).transpose()?.unwrap_or_default(),
    })
}
