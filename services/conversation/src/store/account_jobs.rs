//! The ends of accounts (rule X2).

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*};
use uuid::Uuid;

use super::{
    entity::account_job::{Column, Entity, Model},
    keyset,
};
use crate::domain::{AccountJob, AccountJobStatus};

/// What is due of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DueWork {
    /// An attempt of the export, which may take long.
    Exports,
    /// Any other step.
    Steps,
}

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<AccountJob>, DbErr> {
    in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(AccountJob::try_from).transpose()
}

/// The job, locked until the transaction ends. A transaction that changes the account's state locks that first.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<AccountJob>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    row.map(AccountJob::try_from).transpose()
}

/// The end of the account that was not cancelled.
pub(crate) async fn find_current(tx: &Tx, account: AccountId) -> Result<Option<AccountJob>, DbErr> {
    let current = in_account(account).filter(Column::Status.ne(AccountJobStatus::Cancelled));
    current.one(tx.conn()).await?.map(AccountJob::try_from).transpose()
}

/// Jobs, newest first, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<AccountJob>, DbErr> {
    let mut query = in_account(account);
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(AccountJob::try_from).collect()
}

pub(crate) async fn insert(tx: &Tx, job: &AccountJob) -> Result<(), DbErr> {
    let row = Model::from(job).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop)
}

pub(crate) async fn save(tx: &Tx, job: &AccountJob) -> Result<(), DbErr> {
    let row = Model::from(job).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(job.account)).exec(tx.conn()).await.map(drop)
}

/// Up to `limit` jobs of all accounts of which this is due, by account and id.
pub(crate) async fn list_due<C: ConnectionTrait>(
    conn: &C,
    now: Time,
    work: DueWork,
    limit: u64,
) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let exports = [AccountJobStatus::Suspending, AccountJobStatus::Exporting];
    let of_work = match work {
        DueWork::Exports => Column::Status.is_in(exports),
        DueWork::Steps => Column::Status.is_not_in(exports),
    };
    let due = Entity::find().filter(Column::DueAt.lte(now)).filter(of_work).order_by_asc(Column::DueAt).limit(limit);
    Ok(due.all(conn).await?.into_iter().map(|row| (row.account_id, row.id)).collect())
}

/// The jobs of all accounts whose erasure this service has not confirmed to itself.
pub(crate) async fn list_erasing<C: ConnectionTrait>(conn: &C) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let erasing = Entity::find().filter(Column::Status.eq(AccountJobStatus::Erasing)).all(conn).await?;
    Ok(erasing.into_iter().map(|row| (row.account_id, row.id)).collect())
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
