//! Jobs on contacts, and the conversations of each (rule X2).

use std::{collections::HashSet, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, Select, Statement, Value,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, SelectStatement},
};
use uuid::Uuid;

use super::{
    entity::{
        contact_job::{Column, Entity, Model},
        contact_job_conversation,
    },
    events, keyset,
};
use crate::domain::{ContactJob, ContactJobKind, ContactJobStatus};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<ContactJob>, DbErr> {
    in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(ContactJob::try_from).transpose()
}

/// The job, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<ContactJob>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    row.map(ContactJob::try_from).transpose()
}

/// The erasure of the contact with this id. None: it was never requested.
pub(crate) async fn find_erasure<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
) -> Result<Option<ContactJob>, DbErr> {
    let erasure =
        in_account(account).filter(Column::ContactId.eq(contact)).filter(Column::Kind.eq(ContactJobKind::Erasure));
    erasure.one(conn).await?.map(ContactJob::try_from).transpose()
}

/// The export of the contact that is in progress.
pub(crate) async fn find_running_export(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
) -> Result<Option<ContactJob>, DbErr> {
    let running = in_account(account)
        .filter(Column::ContactId.eq(contact))
        .filter(Column::Kind.eq(ContactJobKind::Export))
        .filter(Column::Status.eq(ContactJobStatus::Running));
    running.one(tx.conn()).await?.map(ContactJob::try_from).transpose()
}

/// The ids of all exports of these contacts.
pub(crate) async fn list_exports<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contacts: &[Uuid],
) -> Result<Vec<Uuid>, DbErr> {
    let exports = in_account(account)
        .filter(Column::ContactId.is_in(contacts.iter().copied()))
        .filter(Column::Kind.eq(ContactJobKind::Export));
    exports.select_only().column(Column::Id).order_by_asc(Column::Id).into_tuple().all(conn).await
}

/// The objects that are files of these jobs of any account.
pub(crate) async fn list_objects<C: ConnectionTrait>(conn: &C, jobs: &[Uuid]) -> Result<HashSet<Uuid>, DbErr> {
    let rows = Entity::find()
        .filter(Column::Id.is_in(jobs.iter().copied()))
        .filter(Column::ObjectId.is_not_null())
        .select_only()
        .column(Column::ObjectId);
    Ok(rows.into_tuple::<Uuid>().all(conn).await?.into_iter().collect())
}

/// Jobs, newest first, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<ContactJob>, DbErr> {
    let mut query = in_account(account);
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(ContactJob::try_from).collect()
}

pub(crate) async fn insert(tx: &Tx, job: &ContactJob) -> Result<(), DbErr> {
    let row = Model::from(job).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop)
}

pub(crate) async fn save(tx: &Tx, job: &ContactJob) -> Result<(), DbErr> {
    let row = Model::from(job).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(job.account)).exec(tx.conn()).await.map(drop)
}

/// Saves a job whose part of this service is done, with its event.
pub(crate) async fn save_finished(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    save(tx, job).await?;
    events::append_contact_erasure_requested(tx, job).await
}

/// Saves a job that ended, with its event.
pub(crate) async fn save_ended(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    save(tx, job).await?;
    events::append_contact_erased(tx, job).await
}

/// Saves an export that ended, with its event.
pub(crate) async fn save_export_ended(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    save(tx, job).await?;
    events::append_contact_export_ended(tx, job).await
}

/// When the first job of any account is due. None: there is none.
pub(crate) async fn next_due<C: ConnectionTrait>(conn: &C) -> Result<Option<Time>, DbErr> {
    let first = Entity::find().filter(Column::DueAt.is_not_null()).order_by_asc(Column::DueAt);
    let due: Option<Option<Time>> = first.select_only().column(Column::DueAt).limit(1).into_tuple().one(conn).await?;
    Ok(due.flatten())
}

/// Up to `limit` due jobs of this kind of all accounts, by account and id. Those that another transaction has locked are skipped, and
/// these are due again after `retry`: this replica may die before it is done with them.
pub(crate) async fn claim_due(
    tx: &Tx,
    now: Time,
    retry: Duration,
    kind: ContactJobKind,
    limit: u64,
) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let due: Vec<_> = Entity::find()
        .filter(Column::DueAt.lte(now))
        .filter(Column::Kind.eq(kind))
        .order_by_asc(Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?
        .into_iter()
        .map(|row| (row.account_id, row.id))
        .collect();
    if !due.is_empty() {
        Entity::update_many()
            .filter(Column::Id.is_in(due.iter().map(|(_, id)| *id)))
            .col_expr(Column::DueAt, Expr::value(now.plus(retry)))
            .exec(tx.conn())
            .await?;
    }
    Ok(due)
}

/// Adds the conversations that the contact has now to those of the job. They stay there, also when they get another contact.
pub(crate) async fn add_conversations(tx: &Tx, job: Uuid, account: AccountId, contact: Uuid) -> Result<(), DbErr> {
    let backend = tx.conn().get_database_backend();
    let add = match backend {
        DbBackend::Postgres => {
            "INSERT INTO contact_job_conversations (job_id, conversation_id, account_id, erased_until, is_erased)
            SELECT $1, id, account_id, 0, FALSE FROM conversations WHERE account_id = $2 AND contact_id = $3
            ON CONFLICT (job_id, conversation_id) DO NOTHING"
        }
        _ => {
            "INSERT INTO contact_job_conversations (job_id, conversation_id, account_id, erased_until, is_erased)
            SELECT ?, id, account_id, 0, FALSE FROM conversations WHERE account_id = ? AND contact_id = ?
            ON CONFLICT (job_id, conversation_id) DO NOTHING"
        }
    };
    let values: [Value; 3] = [job.into(), account.0.into(), contact.into()];
    tx.conn().execute_raw(Statement::from_sql_and_values(backend, add, values)).await.map(drop)
}

/// A subquery: the ids of the job's conversations.
pub(super) fn conversations_of(job: &ContactJob) -> SelectStatement {
    use contact_job_conversation::{Column, Entity};
    let of_job = Entity::find().filter(Column::AccountId.eq(job.account)).filter(Column::JobId.eq(job.id));
    of_job.select_only().column(Column::ConversationId).into_query()
}

/// The ids of up to `limit` conversations of the job after this one, in their order.
pub(crate) async fn list_conversations<C: ConnectionTrait>(
    conn: &C,
    job: &ContactJob,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    use contact_job_conversation::{Column, Entity};
    let mut rows = Entity::find().filter(Column::AccountId.eq(job.account)).filter(Column::JobId.eq(job.id));
    if let Some(after) = after {
        rows = rows.filter(Column::ConversationId.gt(after));
    }
    let ids = rows.select_only().column(Column::ConversationId).order_by_asc(Column::ConversationId).limit(limit);
    ids.into_tuple().all(conn).await
}

/// A conversation of the job that is not erased, with the sequence up to which its entries are. None: all are erased.
pub(crate) async fn find_unerased(tx: &Tx, job: &ContactJob) -> Result<Option<(Uuid, i64)>, DbErr> {
    use contact_job_conversation::{Column, Entity};
    let left = Entity::find()
        .filter(Column::AccountId.eq(job.account))
        .filter(Column::JobId.eq(job.id))
        .filter(Column::IsErased.eq(false));
    let row = left.order_by_asc(Column::ConversationId).one(tx.conn()).await?;
    Ok(row.map(|row| (row.conversation_id, row.erased_until)))
}

/// The entries of the conversation up to this sequence are erased; `is_erased`: all of it is.
pub(crate) async fn set_erased_until(
    tx: &Tx,
    job: &ContactJob,
    conversation: Uuid,
    sequence: i64,
    is_erased: bool,
) -> Result<(), DbErr> {
    use contact_job_conversation::{Column, Entity};
    Entity::update_many()
        .filter(Column::AccountId.eq(job.account))
        .filter(Column::JobId.eq(job.id))
        .filter(Column::ConversationId.eq(conversation))
        .col_expr(Column::ErasedUntil, Expr::value(sequence))
        .col_expr(Column::IsErased, Expr::value(is_erased))
        .exec(tx.conn())
        .await
        .map(drop)
}
