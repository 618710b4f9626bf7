//! Deliveries and their composed mails.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Set,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, OnConflict},
};

use super::entity::{
    delivery::{Column, Entity},
    mail,
};
use crate::domain::{Delivery, State};

/// A delivery that a worker has, and the number that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) account: AccountId,
    pub(crate) delivery: Uuid,
    pub(crate) number: i64,
    /// It was found amid an attempt whose worker is gone.
    pub(crate) interrupted: bool,
    /// The trace that the attempt belongs to.
    pub(crate) traceparent: String,
}

/// Inserts a new one.
pub(crate) async fn insert(tx: &Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let mut row = delivery.clone().into_active_model();
    row.traceparent = Set(frontdesk_telemetry::traceparent());
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column back.
pub(crate) async fn save(tx: &Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let account = delivery.account_id;
    let row = delivery.clone().into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(account)).exec(tx.conn()).await?;
    Ok(())
}

/// One delivery.
pub(crate) async fn find<C: ConnectionTrait>(db: &C, account: AccountId, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).one(db).await
}

/// One delivery, locked.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await
}

/// The delivery, locked, while the claim still holds it.
pub(crate) async fn find_claimed(tx: &Tx, claim: &Claim) -> Result<Option<Delivery>, DbErr> {
    let delivery = find_for_update(tx, claim.account, claim.delivery).await?;
    Ok(delivery.filter(|delivery| delivery.claim == claim.number))
}

/// Newest first, after a cursor.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Option<Uuid>,
    state: Option<State>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Delivery>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if let Some(conversation) = conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some(state) = state {
        query = query.filter(Column::State.eq(state));
    }
    if let Some(last) = after {
        query = query.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// Keeps the composed mail.
pub(crate) async fn keep_mail(tx: &Tx, delivery: &Delivery, bytes: Vec<u8>) -> Result<(), DbErr> {
    let row =
        mail::ActiveModel { delivery_id: Set(delivery.id), account_id: Set(delivery.account_id), mail: Set(bytes) };
    mail::Entity::insert(row)
        .on_conflict(OnConflict::column(mail::Column::DeliveryId).update_column(mail::Column::Mail).to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// The composed mail.
pub(crate) async fn find_mail(tx: &Tx, account: AccountId, delivery: Uuid) -> Result<Option<Vec<u8>>, DbErr> {
    let row = mail::Entity::find_by_id(delivery).filter(mail::Column::AccountId.eq(account)).one(tx.conn()).await?;
    Ok(row.map(|row| row.mail))
}

/// Forgets the composed mail: nothing will send it any more.
pub(crate) async fn forget_mail(tx: &Tx, account: AccountId, delivery: Uuid) -> Result<(), DbErr> {
    mail::Entity::delete_many()
        .filter(mail::Column::AccountId.eq(account))
        .filter(mail::Column::DeliveryId.eq(delivery))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Takes up to `limit` due deliveries of any account until `lease`; other replicas pass them over.
pub(crate) async fn claim_due(tx: &Tx, now: Time, lease: Time, limit: u64) -> Result<Vec<Claim>, DbErr> {
    let due = Entity::find()
        .filter(Column::State.is_in([State::Queued, State::Sending]))
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    let mut claims = Vec::with_capacity(due.len());
    for mut delivery in due {
        delivery.claim += 1;
        delivery.leased = true;
        delivery.due_at = lease;
        claims.push(Claim {
            account: delivery.account_id,
            delivery: delivery.id,
            number: delivery.claim,
            interrupted: delivery.state == State::Sending,
            traceparent: delivery.traceparent.clone(),
        });
        save(tx, &delivery).await?;
    }
    Ok(claims)
}

/// The worker that has the delivery is still there.
pub(crate) async fn renew(tx: &Tx, claim: &Claim, lease: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(claim.account))
        .filter(Column::Id.eq(claim.delivery))
        .filter(Column::Claim.eq(claim.number))
        .filter(Column::Leased.eq(true))
        .col_expr(Column::DueAt, Expr::value(lease.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// When a delivery of any account is due next.
pub(crate) async fn next_due<C: ConnectionTrait>(db: &C) -> Result<Option<Time>, DbErr> {
    let due: Option<Option<Time>> = Entity::find()
        .select_only()
        .column_as(Column::DueAt.min(), "due_at")
        .filter(Column::State.is_in([State::Queued, State::Sending]))
        .into_tuple()
        .one(db)
        .await?;
    Ok(due.flatten())
}

/// Ends all leases at the start of the one process that a SQLite database has: whoever held them is gone.
pub(crate) async fn end_leases_of_the_dead(tx: &Tx, now: Time) -> Result<(), DbErr> {
    if tx.conn().get_database_backend() == DbBackend::Sqlite {
        Entity::update_many()
            .filter(Column::Leased.eq(true))
            .filter(Column::DueAt.gt(now))
            .col_expr(Column::DueAt, Expr::value(now.0))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}
