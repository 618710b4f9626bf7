//! Deliveries and the bytes of their mails. Deliveries of a kind that this version does not know are left to the later version that
//! queued them.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, Select, Set,
    entity::prelude::*,
    sea_query::{OnConflict, SelectStatement, UnionType},
};

use super::entity::{
    delivery::{Column, Entity, Model},
    delivery_mail,
};
use crate::domain::{
    Bounce, BounceKind, Claim, Delivery, DeliveryFilter, DeliveryKind, DeliveryStatus, Sender, mailbox,
    recipient_domain,
};

/// Statuses of deliveries that are due at some time.
pub(super) const PENDING: [&str; 2] = ["QUEUED", "SENDING"];

/// Selects the deliveries of known kinds.
pub(super) fn find_known() -> Select<Entity> {
    Entity::find().filter(Column::Kind.is_in(DeliveryKind::ALL.map(DeliveryKind::as_str)))
}

/// Inserts a delivery, with the current trace context.
pub(crate) async fn insert(tx: &Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let mut row = to_row(delivery).into_active_model();
    row.traceparent = Set(frontdesk_telemetry::traceparent());
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let row = to_row(delivery).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(delivery.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the delivery.
pub(crate) async fn find<C: ConnectionTrait>(db: &C, account: AccountId, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    let query = find_known().filter(Column::Id.eq(id)).filter(Column::AccountId.eq(account));
    query.one(db).await?.map(to_domain).transpose()
}

/// Returns the delivery, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    let query = find_known().filter(Column::Id.eq(id)).filter(Column::AccountId.eq(account));
    query.lock_exclusive().one(tx.conn()).await?.map(to_domain).transpose()
}

/// Returns the recipients of these deliveries, as far as they are known.
pub(crate) async fn list_recipients<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    deliveries: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, String>, DbErr> {
    let rows: Vec<(Uuid, String)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::RecipientEmail)
        .filter(Column::AccountId.eq(account))
        .filter(Column::Id.is_in(deliveries))
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Returns the delivery, locked until the transaction ends, if the claim still holds it.
pub(crate) async fn find_claimed_for_update(tx: &Tx, claim: &Claim) -> Result<Option<Delivery>, DbErr> {
    let delivery = find_for_update(tx, claim.account, claim.delivery).await?;
    Ok(delivery.filter(|delivery| delivery.is_held_by(claim)))
}

/// Returns the deliveries after a cursor, newest first.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    filter: &DeliveryFilter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Delivery>, DbErr> {
    let mut all = find_known().filter(Column::AccountId.eq(account));
    if let Some(last) = after {
        all = all.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    let mut query = all.clone();
    if let Some(conversation) = filter.conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some(contact) = filter.contact {
        query = query.filter(Column::ContactId.eq(contact));
    }
    let statuses = filter.statuses.iter().map(|status| status.as_str());
    match filter.conversation.or(filter.contact) {
        _ if filter.statuses.is_empty() => {}
        Some(_) => query = query.filter(Column::Status.is_in(statuses)),
        None => query = query.filter(Column::Id.in_subquery(newest_of_each(&all, statuses, limit))),
    }
    let rows = newest_first(query).limit(limit).all(db).await?;
    rows.into_iter().map(to_domain).collect()
}

/// Returns the ids of the `limit` newest deliveries of each status. Each status has a query of its own, which reads an index in
/// order and ends at the limit: one with `IN` would read and sort all deliveries of these statuses, or read past those of others.
fn newest_of_each<'a>(all: &Select<Entity>, statuses: impl Iterator<Item = &'a str>, limit: u64) -> SelectStatement {
    let mut ids = statuses.map(|status| {
        let query = newest_first(all.clone().filter(Column::Status.eq(status))).limit(limit);
        let query = query.select_only().column(Column::Id).into_query();
        SelectStatement::new().column(Column::Id).from_subquery(query, "newest").take()
    });
    let mut union = ids.next().unwrap_or_default();
    for ids in ids {
        union.union(UnionType::All, ids);
    }
    union
}

fn newest_first(query: Select<Entity>) -> Select<Entity> {
    query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id)
}

/// Stores the bytes of the composed mail.
pub(crate) async fn save_mail(tx: &Tx, delivery: &Delivery, bytes: Vec<u8>) -> Result<(), DbErr> {
    let row = delivery_mail::ActiveModel {
        delivery_id: Set(delivery.id),
        account_id: Set(delivery.account),
        mail: Set(bytes),
    };
    delivery_mail::Entity::insert(row)
        .on_conflict(
            OnConflict::column(delivery_mail::Column::DeliveryId).update_column(delivery_mail::Column::Mail).to_owned(),
        )
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// Returns the bytes of the composed mail. None: it is not composed, sent, or forgotten.
pub(crate) async fn find_mail<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    delivery: Uuid,
) -> Result<Option<Vec<u8>>, DbErr> {
    let query = delivery_mail::Entity::find_by_id(delivery).filter(delivery_mail::Column::AccountId.eq(account));
    Ok(query.one(db).await?.map(|row| row.mail))
}

/// Deletes the bytes of the composed mail.
pub(crate) async fn delete_mail(tx: &Tx, account: AccountId, delivery: Uuid) -> Result<(), DbErr> {
    delivery_mail::Entity::delete_many()
        .filter(delivery_mail::Column::AccountId.eq(account))
        .filter(delivery_mail::Column::DeliveryId.eq(delivery))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes up to `limit` mails of failed and parked deliveries of all accounts whose last attempt ended before `before`. Returns
/// their number.
pub(crate) async fn delete_mails_of_failed(tx: &Tx, before: Time, limit: u64) -> Result<u64, DbErr> {
    let failed = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Status.is_in([DeliveryStatus::Failed.as_str(), DeliveryStatus::Parked.as_str()]))
        .filter(Column::DueAt.lt(before))
        .filter(Column::Id.in_subquery(
            delivery_mail::Entity::find().select_only().column(delivery_mail::Column::DeliveryId).into_query(),
        ))
        .limit(limit)
        .into_query();
    let deleted = delivery_mail::Entity::delete_many()
        .filter(delivery_mail::Column::DeliveryId.in_subquery(failed))
        .exec(tx.conn())
        .await?;
    Ok(deleted.rows_affected)
}

/// Returns up to `limit` deliveries of these conversations, or to these contacts, that still have something of a person or may still be
/// sent, locked. Those of which an attempt is in progress come last.
pub(crate) async fn list_to_erase_for_update(
    tx: &Tx,
    account: AccountId,
    conversations: &[Uuid],
    contacts: &[Uuid],
    limit: u64,
) -> Result<Vec<Delivery>, DbErr> {
    let of_person = Condition::any()
        .add(Column::ConversationId.is_in(conversations.iter().copied()))
        .add(Column::ContactId.is_in(contacts.iter().copied()));
    let texts =
        [Column::RecipientEmail, Column::Mailbox, Column::RecipientDomain, Column::Subject, Column::LastResponse];
    let is_unsent = Column::Status.is_not_in([DeliveryStatus::Sent.as_str(), DeliveryStatus::Cancelled.as_str()]);
    let is_left = texts.into_iter().fold(Condition::any().add(is_unsent), |any, text| any.add(text.ne("")));
    let select = || find_known().filter(Column::AccountId.eq(account)).filter(of_person.clone());
    let sending = DeliveryStatus::Sending.as_str();
    let rest = select().filter(is_left).filter(Column::Status.ne(sending)).order_by_asc(Column::Id);
    let mut rows = rest.limit(limit).lock_exclusive().all(tx.conn()).await?;
    if rows.is_empty() {
        rows = select().filter(Column::Status.eq(sending)).limit(1).all(tx.conn()).await?;
    }
    rows.into_iter().map(to_domain).collect()
}

/// Makes the transcripts due that wait for their next attempt, from this sender: a worker finds at once that they have none any more.
pub(crate) async fn make_due(tx: &Tx, sender: &Sender, now: Time) -> Result<(), DbErr> {
    let from_sender = Condition::any().add(Column::MailFrom.eq(&sender.email)).add(Column::SenderId.eq(sender.id));
    let transcripts = [DeliveryKind::Transcript, DeliveryKind::ManualTranscript].map(DeliveryKind::as_str);
    Entity::update_many()
        .filter(Column::AccountId.eq(sender.account))
        .filter(Column::Status.eq(DeliveryStatus::Queued.as_str()))
        .filter(Column::Kind.is_in(transcripts))
        // Of a claimed one it is the end of the claim.
        .filter(Column::Claimed.eq(false))
        .filter(from_sender)
        .filter(Column::DueAt.gt(now))
        .col_expr(Column::DueAt, Expr::value(now.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

fn to_row(delivery: &Delivery) -> Model {
    let delivery = delivery.clone();
    Model {
        id: delivery.id,
        account_id: delivery.account,
        kind: delivery.kind.as_str().to_owned(),
        status: delivery.status.as_str().to_owned(),
        conversation_id: delivery.conversation,
        close_number: delivery.close_number,
        contact_id: delivery.contact,
        sender_id: delivery.sender,
        sender_from_channel: delivery.sender_from_channel,
        until_sequence: delivery.until_sequence.into(),
        unverified: delivery.unverified,
        requested_by: delivery.requested_by,
        mailbox: mailbox(&delivery.recipient_email),
        recipient_domain: recipient_domain(&delivery.recipient_email),
        recipient_email: delivery.recipient_email,
        subject: delivery.subject,
        time_zone: delivery.time_zone,
        max_transcript_bytes: delivery.max_transcript_bytes.and_then(|max| i64::try_from(max).ok()).unwrap_or(0),
        mail_from: delivery.mail_from,
        mail_message_id: delivery.mail_message_id,
        composed_at: delivery.composed_at,
        compose_failures: delivery.compose_failures,
        attempt_count: delivery.attempt_count,
        attempts_before_retry: delivery.attempts_before_retry,
        unknown_outcomes: delivery.unknown_outcomes,
        last_response: delivery.last_response,
        failure: delivery.failure,
        claim: delivery.claim_number,
        claimed: delivery.claimed,
        due_at: delivery.due_at,
        created_at: delivery.created_at,
        sent_at: delivery.sent_at,
        traceparent: delivery.traceparent,
        bounce_kind: delivery.bounce.as_ref().map_or("", |bounce| bounce.kind.as_str()).to_owned(),
        bounced_at: delivery.bounce.as_ref().map(|bounce| bounce.reported_at),
        bounce_status_code: delivery.bounce.map(|bounce| bounce.status_code).unwrap_or_default(),
        version: delivery.version,
    }
}

fn bounce(row: &Model) -> Result<Option<Bounce>, DbErr> {
    let Some(reported_at) = row.bounced_at else { return Ok(None) };
    let kind = super::parse("deliveries.bounce_kind", &row.bounce_kind, BounceKind::parse)?;
    Ok(Some(Bounce { kind, status_code: row.bounce_status_code.clone(), reported_at }))
}

pub(super) fn to_domain(row: Model) -> Result<Delivery, DbErr> {
    Ok(Delivery {
        bounce: bounce(&row)?,
        id: row.id,
        account: row.account_id,
        kind: super::parse("deliveries.kind", &row.kind, DeliveryKind::parse)?,
        status: super::parse("deliveries.state", &row.status, DeliveryStatus::parse)?,
        conversation: row.conversation_id,
        close_number: row.close_number,
        contact: row.contact_id,
        sender: row.sender_id,
        sender_from_channel: row.sender_from_channel,
        until_sequence: super::sequence("deliveries.until_sequence", row.until_sequence)?,
        unverified: row.unverified,
        requested_by: row.requested_by,
        recipient_email: row.recipient_email,
        subject: row.subject,
        time_zone: row.time_zone,
        max_transcript_bytes: usize::try_from(row.max_transcript_bytes).ok().filter(|max| *max > 0),
        mail_from: row.mail_from,
        mail_message_id: row.mail_message_id,
        composed_at: row.composed_at,
        compose_failures: row.compose_failures,
        attempt_count: row.attempt_count,
        attempts_before_retry: row.attempts_before_retry,
        unknown_outcomes: row.unknown_outcomes,
        last_response: row.last_response,
        failure: row.failure,
        claim_number: row.claim,
        claimed: row.claimed,
        due_at: row.due_at,
        created_at: row.created_at,
        sent_at: row.sent_at,
        traceparent: row.traceparent,
        version: row.version,
    })
}
