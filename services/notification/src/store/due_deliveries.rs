//! The statements of the delivery worker, which serves all accounts: which deliveries are due, who holds them, and what becomes of many at
//! once.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{Asterisk, CaseStatement, ExprTrait, LockBehavior, LockType, SelectStatement, UnionType},
};

use super::{
    deliveries::{PENDING, find_known, to_domain},
    entity::{
        delivery::{Column, Entity, Model},
        delivery_mail,
    },
};
use crate::domain::{Claim, Delivery, DeliveryStatus, MailQueue};

/// How long a delivery with a row that cannot be read is put off (microseconds).
const UNREADABLE_PAUSE: i64 = 3_600_000_000;

/// A delivery that is due, and the queue that it was taken from.
pub(crate) struct Due {
    pub(crate) delivery: Delivery,
    pub(crate) queue: MailQueue,
}

/// Selects the deliveries that are due at some time, of accounts that are in use.
fn find_pending() -> Select<Entity> {
    let of_accounts = Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use());
    find_known().filter(Column::Status.is_in(PENDING)).filter(of_accounts)
}

/// Returns the queues that have due deliveries, of accounts that are in use. Claims are made for these queues only, which are read anew after
/// a second: so they do not ask again.
pub(crate) async fn list_due_queues<C: ConnectionTrait>(db: &C, now: Time) -> Result<Vec<MailQueue>, DbErr> {
    let rows: Vec<(AccountId, String)> = find_pending()
        .select_only()
        .columns([Column::AccountId, Column::RecipientDomain])
        .distinct()
        .filter(Column::DueAt.lte(now))
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(account, domain)| MailQueue { account, domain }).collect())
}

/// Returns the deliveries of these queues that are due, up to the number of each, locked; those that other replicas have locked are skipped.
/// A row that cannot be read is reported and put off, so that it delays no other delivery.
pub(crate) async fn list_due_for_update(tx: &Tx, now: Time, places: &[(MailQueue, usize)]) -> Result<Vec<Due>, DbErr> {
    let Some(select) = select_due(now, places) else { return Ok(Vec::new()) };
    let rows = Model::find_by_statement(tx.conn().get_database_backend().build(&select)).all(tx.conn()).await?;
    let (mut due, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let (id, queue) = (row.id, MailQueue { account: row.account_id, domain: row.recipient_domain.clone() });
        match to_domain(row) {
            Ok(delivery) => due.push(Due { delivery, queue }),
            Err(error) => {
                let account = queue.account;
                tracing::error!(delivery = %id, %account, %error, "a delivery cannot be read; it is tried again in an hour");
                unreadable.push(id);
            }
        }
    }
    if !unreadable.is_empty() {
        Entity::update_many()
            .filter(Column::Id.is_in(unreadable))
            .col_expr(Column::DueAt, Expr::value(now.0.saturating_add(UNREADABLE_PAUSE)))
            .exec(tx.conn())
            .await?;
    }
    Ok(due)
}

/// One select for each queue, each of which reads an index in order and ends at its number. None: there is no queue.
fn select_due(now: Time, places: &[(MailQueue, usize)]) -> Option<SelectStatement> {
    let mut selects = places.iter().map(|(queue, places)| {
        let query = find_known()
            .filter(Column::AccountId.eq(queue.account))
            .filter(Column::RecipientDomain.eq(&queue.domain))
            .filter(Column::Status.is_in(PENDING))
            .filter(Column::DueAt.lte(now))
            .order_by_asc(Column::DueAt)
            .limit(*places as u64)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        SelectStatement::new().column(Asterisk).from_subquery(query, "due").take()
    });
    let mut union = selects.next()?;
    for select in selects {
        union.union(UnionType::All, select);
    }
    Some(union)
}

/// Saves the claims of deliveries that the transaction has locked, until `until`. `begins`: with the beginning of an attempt.
pub(crate) async fn save_claims(tx: &Tx, ids: Vec<Uuid>, begins: bool, until: Time) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = Entity::update_many()
        .filter(Column::Id.is_in(ids))
        .col_expr(Column::Claim, Expr::col(Column::Claim).add(1))
        .col_expr(Column::Claimed, Expr::value(true))
        .col_expr(Column::DueAt, Expr::value(until.0));
    if begins {
        update = update
            .col_expr(Column::Status, Expr::value(DeliveryStatus::Sending.as_str()))
            .col_expr(Column::AttemptCount, Expr::col(Column::AttemptCount).add(1));
    }
    update.exec(tx.conn()).await?;
    Ok(())
}

/// Returns the bytes of the composed mails that there are, by their deliveries.
pub(crate) async fn list_mails(tx: &Tx, deliveries: Vec<Uuid>) -> Result<HashMap<Uuid, Vec<u8>>, DbErr> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let query = delivery_mail::Entity::find().filter(delivery_mail::Column::DeliveryId.is_in(deliveries));
    Ok(query.all(tx.conn()).await?.into_iter().map(|row| (row.delivery_id, row.mail)).collect())
}

/// Returns the deliveries that the claims still hold, locked until the transaction ends.
pub(crate) async fn list_claimed_for_update(tx: &Tx, claims: &[&Claim]) -> Result<Vec<Delivery>, DbErr> {
    let numbers: HashMap<Uuid, i64> = claims.iter().map(|claim| (claim.delivery, claim.number)).collect();
    let rows = find_known()
        .filter(Column::Id.is_in(numbers.keys().copied()))
        // Transactions that wait for several of them lock them in this order.
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?;
    let held = rows.into_iter().filter(|row| numbers.get(&row.id) == Some(&row.claim));
    held.map(to_domain).collect()
}

/// Saves deliveries that the transaction has locked, and of which a mail server has accepted the mail; their mails are deleted.
pub(crate) async fn save_sent(tx: &Tx, sent: &[Delivery]) -> Result<(), DbErr> {
    let Some(first) = sent.first() else { return Ok(()) };
    let ids: Vec<Uuid> = sent.iter().map(|delivery| delivery.id).collect();
    // All have the same changes but for the response.
    let mut response = CaseStatement::new();
    for delivery in sent {
        response = response.case(Column::Id.eq(delivery.id), delivery.last_response.as_str());
    }
    Entity::update_many()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .col_expr(Column::Status, Expr::value(first.status.as_str()))
        .col_expr(Column::Claimed, Expr::value(first.claimed))
        .col_expr(Column::Claim, Expr::col(Column::Claim).add(1))
        .col_expr(Column::LastResponse, response.finally("").into())
        .col_expr(Column::Failure, Expr::value(first.failure.as_str()))
        .col_expr(Column::SentAt, Expr::value(first.sent_at.map(|at| at.0)))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .exec(tx.conn())
        .await?;
    delivery_mail::Entity::delete_many().filter(delivery_mail::Column::DeliveryId.is_in(ids)).exec(tx.conn()).await?;
    Ok(())
}

/// Renews a claim until `until`, if it still holds the delivery.
pub(crate) async fn renew(tx: &Tx, claim: &Claim, until: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(claim.account))
        .filter(Column::Id.eq(claim.delivery))
        .filter(Column::Claim.eq(claim.number))
        .filter(Column::Claimed.eq(true))
        .col_expr(Column::DueAt, Expr::value(until.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Maximum number of deliveries that are counted.
pub(super) const MAX_COUNTED: u64 = 100_000;

/// Returns the number of deliveries of each pending status that has any, of all accounts; of more than 100,000 these.
pub(crate) async fn count_pending<C: ConnectionTrait>(db: &C) -> Result<HashMap<String, i64>, DbErr> {
    let pending = Entity::find()
        .filter(Column::Status.is_in(PENDING))
        .select_only()
        .column(Column::Status)
        .limit(MAX_COUNTED)
        .into_query();
    let counts = SelectStatement::new()
        .column(Column::Status)
        .expr_as(Expr::col(Column::Status).count(), "deliveries")
        .from_subquery(pending, "pending")
        .group_by_col(Column::Status)
        .take();
    let rows = db.query_all_raw(db.get_database_backend().build(&counts)).await?;
    let count = |row: &QueryResult| Ok::<_, DbErr>((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    rows.iter().map(count).collect()
}

/// Returns when a delivery of any account that is in use is due next.
pub(crate) async fn next_due<C: ConnectionTrait>(db: &C) -> Result<Option<Time>, DbErr> {
    let due: Option<Option<Time>> =
        find_pending().select_only().column_as(Column::DueAt.min(), "due_at").into_tuple().one(db).await?;
    Ok(due.flatten())
}

/// Returns whether a claim ends after this time.
pub(crate) async fn has_claims_after<C: ConnectionTrait>(db: &C, end: Time) -> Result<bool, DbErr> {
    let claims = Entity::find().filter(Column::Status.is_in(PENDING)).filter(Column::DueAt.gt(end));
    Ok(claims
        .filter(Column::Claimed.eq(true))
        .select_only()
        .column(Column::Id)
        .limit(1)
        .into_tuple::<Uuid>()
        .one(db)
        .await?
        .is_some())
}

/// Ends the claims that would end after `end`: the deliveries are due at `now`.
pub(crate) async fn end_claims_after(tx: &Tx, end: Time, now: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::Status.is_in(PENDING))
        .filter(Column::Claimed.eq(true))
        .filter(Column::DueAt.gt(end))
        .col_expr(Column::DueAt, Expr::value(now.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}
