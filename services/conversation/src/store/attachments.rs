//! Attachments. Their bytes are in `objects/`.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    attachment_storage, contact_jobs, conversations,
    entity::attachment::{Column, Entity, Model},
    events, keyset,
};
use crate::domain::{ActorKind, Attachment, AttachmentStatus, ContactJob};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

/// One that is not being removed.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Attachment>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).filter(Column::Status.ne(AttachmentStatus::Removing));
    Ok(row.one(conn).await?.map(Attachment::from))
}

/// One that is not being removed, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Attachment>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).filter(Column::Status.ne(AttachmentStatus::Removing));
    Ok(row.lock_exclusive().one(tx.conn()).await?.map(Attachment::from))
}

/// Those of these attachments that exist, locked in the order of their ids.
pub(crate) async fn list_for_update(tx: &Tx, account: AccountId, ids: &[Uuid]) -> Result<Vec<Attachment>, DbErr> {
    let rows = in_account(account).filter(Column::Id.is_in(ids.iter().copied())).order_by_asc(Column::Id);
    Ok(rows.lock_exclusive().all(tx.conn()).await?.into_iter().map(Attachment::from).collect())
}

/// Those of these attachments that are READY, by their ids, in the order of the ids.
pub(crate) async fn list_ready<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, DbErr> {
    in_account(account)
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::Status.eq(AttachmentStatus::Ready))
        .order_by_asc(Column::Id)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(conn)
        .await
}

/// The files of the team that are READY and not deleted, newest first, after the cursor (time and id of the last one before).
pub(crate) async fn list_of_team<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Attachment>, DbErr> {
    let mut query = in_account(account)
        .filter(Column::ConversationId.is_null())
        .filter(Column::Status.eq(AttachmentStatus::Ready))
        .filter(Column::DeletedAt.is_null());
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Attachment::from).collect())
}

/// The attachments that were uploaded for the conversations of the contact and sent, newest first, after the cursor (time and id of the
/// last one before).
pub(crate) async fn list_of_contact<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Attachment>, DbErr> {
    let conversations = conversations::ids_of_contact(account, contact);
    let mut query = in_account(account)
        .filter(Column::ConversationId.in_subquery(conversations))
        .filter(Column::SentAt.is_not_null())
        .filter(Column::Status.eq(AttachmentStatus::Ready));
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::CreatedAt, Column::Id], (time, id)));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Attachment::from).collect())
}

/// Up to `limit` attachments that were uploaded for the conversations of the contact, sent or not, after this id, in the order of their ids.
pub(crate) async fn list_to_export<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Attachment>, DbErr> {
    let mut rows = in_account(account)
        .filter(Column::ConversationId.in_subquery(conversations::ids_of_contact(account, contact)))
        .filter(Column::Status.ne(AttachmentStatus::Removing));
    if let Some(after) = after {
        rows = rows.filter(Column::Id.gt(after));
    }
    let rows = rows.order_by_asc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Attachment::from).collect())
}

/// When the attachments are removed that the visitor uploaded for the conversation, or announced, and did not send, the first one
/// first.
pub(crate) async fn list_ends_of_unsent(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<Vec<Time>, DbErr> {
    in_account(account)
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::UploaderKind.eq(ActorKind::Visitor))
        .filter(Column::SentAt.is_null())
        .filter(Column::Status.is_in([AttachmentStatus::Pending, AttachmentStatus::Ready]))
        .filter(Column::CollectAt.is_not_null())
        .select_only()
        .column(Column::CollectAt)
        .order_by_asc(Column::CollectAt)
        .into_tuple()
        .all(tx.conn())
        .await
}

/// Those of these objects that attachments of any account have.
pub(crate) async fn list_objects<C: ConnectionTrait>(conn: &C, attachments: &[Uuid]) -> Result<HashSet<Uuid>, DbErr> {
    let rows = Entity::find()
        .filter(Column::Id.is_in(attachments.iter().copied()))
        .filter(Column::ObjectId.is_not_null())
        .select_only()
        .column(Column::ObjectId);
    Ok(rows.into_tuple::<Uuid>().all(conn).await?.into_iter().collect())
}

pub(crate) async fn insert(tx: &Tx, attachment: &Attachment) -> Result<(), DbErr> {
    let row = Model::from(attachment).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop)
}

pub(crate) async fn save(tx: &Tx, attachment: &Attachment) -> Result<(), DbErr> {
    let row = Model::from(attachment).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(attachment.account)).exec(tx.conn()).await.map(drop)
}

/// Saves an attachment whose bytes arrived; its event if it is READY.
pub(crate) async fn save_received(tx: &mut Tx, attachment: &Attachment) -> Result<(), DbErr> {
    save(tx, attachment).await?;
    if attachment.status == AttachmentStatus::Ready {
        events::append_attachment_stored(tx, attachment).await?;
    }
    Ok(())
}

/// Marks up to `limit` attachments of all accounts that are due as being removed, and returns account and id of each. Those that another
/// transaction has locked are skipped, and those that are marked are due again after `retry`: this replica may die before it removes them.
/// Their bytes are those of the account no more.
pub(crate) async fn mark_due(tx: &Tx, now: Time, retry: Duration, limit: u64) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let due: Vec<Attachment> = Entity::find()
        .filter(Column::CollectAt.lte(now))
        .order_by_asc(Column::CollectAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?
        .into_iter()
        .map(Attachment::from)
        .collect();
    if !due.is_empty() {
        Entity::update_many()
            .filter(Column::Id.is_in(due.iter().map(|attachment| attachment.id)))
            .col_expr(Column::Status, Expr::value(AttachmentStatus::Removing))
            .col_expr(Column::CollectAt, Expr::value(now.plus(retry)))
            .exec(tx.conn())
            .await?;
    }
    // In the order of the accounts, in which every replica locks their rows.
    let mut freed = BTreeMap::<AccountId, i64>::new();
    for attachment in &due {
        *freed.entry(attachment.account).or_default() += attachment.counted_bytes();
    }
    for (account, bytes) in freed {
        attachment_storage::release(tx, account, bytes).await?;
    }
    Ok(due.into_iter().map(|attachment| (attachment.account, attachment.id)).collect())
}

/// Marks up to `limit` attachments that were uploaded for conversations of the job as being removed, and returns their ids. They are also due
/// for the removal of what is not sent, after `retry`.
pub(crate) async fn mark_of_job(
    tx: &Tx,
    job: &ContactJob,
    now: Time,
    retry: Duration,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let of_job = Column::ConversationId.in_subquery(contact_jobs::conversations_of(job));
    let rows = in_account(job.account).filter(of_job).order_by_asc(Column::Id).limit(limit).lock_exclusive();
    let rows: Vec<Attachment> = rows.all(tx.conn()).await?.into_iter().map(Attachment::from).collect();
    let freed = rows.iter().map(Attachment::counted_bytes).sum();
    let ids: Vec<Uuid> = rows.iter().map(|attachment| attachment.id).collect();
    if !ids.is_empty() {
        Entity::update_many()
            .filter(Column::AccountId.eq(job.account))
            .filter(Column::Id.is_in(ids.iter().copied()))
            .col_expr(Column::Status, Expr::value(AttachmentStatus::Removing))
            .col_expr(Column::CollectAt, Expr::value(now.plus(retry)))
            .exec(tx.conn())
            .await?;
    }
    attachment_storage::release(tx, job.account, freed).await?;
    Ok(ids)
}

/// Deletes one that was marked ([`mark_due`], [`mark_of_job`]), after its object.
pub(crate) async fn delete_marked(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(AttachmentStatus::Removing))
        .exec(tx.conn())
        .await
        .map(drop)
}
