//! Events for endpoints of webhooks: those that wait, and the log of those that were sent.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, LockBehavior, LockType, OnConflict, Query},
};

use super::{
    due_deliveries::MAX_COUNTED,
    entity::{
        webhook_delivery::{Column, Entity, Model},
        webhook_endpoint,
    },
    event_orders::AggregateKey,
};
use crate::domain::{QueuedEvent, ReplaySpan, WebhookDelivery, WebhookDeliveryStatus, WebhookEndpoint};

/// Maximum number of rows of one statement: databases limit its number of values.
const ROWS: usize = 500;
/// The condition that no earlier event of the aggregate waits for the endpoint.
pub(super) const IS_NEXT: &str = "NOT EXISTS (SELECT 1 FROM webhook_deliveries earlier \
    WHERE earlier.endpoint_id = webhook_deliveries.endpoint_id AND earlier.source = webhook_deliveries.source \
    AND earlier.aggregate_id = webhook_deliveries.aggregate_id \
    AND earlier.aggregate_version < webhook_deliveries.aggregate_version AND earlier.status = 'QUEUED')";
/// What deliveries of a deleted endpoint say.
const DELETED: &str = "the endpoint was deleted";

/// Inserts deliveries. An event that an endpoint has already is not inserted again.
pub(crate) async fn insert_all_once(tx: &Tx, deliveries: &[WebhookDelivery]) -> Result<(), DbErr> {
    for part in deliveries.chunks(ROWS) {
        let once = OnConflict::columns([Column::EndpointId, Column::EventId]).do_nothing().to_owned();
        let rows = part.iter().map(|delivery| to_row(delivery).into_active_model());
        Entity::insert_many(rows).on_conflict(once).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, delivery: &WebhookDelivery) -> Result<(), DbErr> {
    let row = to_row(delivery).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(delivery.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Makes the deliveries to these endpoints due that waited for events before them, of an aggregate up to a version.
pub(crate) async fn release(
    tx: &Tx,
    endpoints: impl IntoIterator<Item = Uuid>,
    key: &AggregateKey,
    version: i64,
    now: Time,
) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(key.account))
        // The index begins with it.
        .filter(Column::EndpointId.is_in(endpoints))
        .filter(Column::Source.eq(&key.source))
        .filter(Column::AggregateId.eq(key.aggregate))
        .filter(Column::AggregateVersion.lte(version))
        .filter(Column::Status.eq(WebhookDeliveryStatus::Queued.as_str()))
        .filter(Column::AttemptCount.eq(0))
        .filter(Column::Claimed.eq(false))
        .filter(Column::DueAt.gt(now))
        .col_expr(Column::DueAt, Expr::value(now.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the delivery.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<WebhookDelivery>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    query.one(db).await?.map(to_domain).transpose()
}

/// Returns the delivery, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<WebhookDelivery>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    query.lock_exclusive().one(tx.conn()).await?.map(to_domain).transpose()
}

/// Returns the deliveries of an endpoint after a cursor, newest first. `statuses`: only with one of these; none: all.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    endpoint: Uuid,
    statuses: &[WebhookDeliveryStatus],
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<WebhookDelivery>, DbErr> {
    let mut query = of_endpoint(account, endpoint);
    if !statuses.is_empty() {
        query = query.filter(Column::Status.is_in(statuses.iter().map(|status| status.as_str())));
    }
    if let Some(last) = after {
        query = query.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(db).await?;
    rows.into_iter().map(to_domain).collect()
}

/// Returns the due deliveries of an endpoint, up to a number, locked; those that other replicas have locked are skipped. Of an endpoint that wants
/// the events of an aggregate in order, only the first that waits of each.
pub(crate) async fn list_due_for_update(
    tx: &Tx,
    endpoint: &WebhookEndpoint,
    now: Time,
    limit: usize,
) -> Result<Vec<WebhookDelivery>, DbErr> {
    let mut query = of_endpoint(endpoint.account, endpoint.id)
        .filter(Column::Status.eq(WebhookDeliveryStatus::Queued.as_str()))
        .filter(Column::DueAt.lte(now));
    if endpoint.ordered {
        query = query.filter(Expr::cust(IS_NEXT));
    }
    let rows = query
        .order_by_asc(Column::DueAt)
        // Those that were queued, or are sent again, at the same moment.
        .order_by_asc(Column::Id)
        .limit(limit as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_domain).collect()
}

/// Returns the number of deliveries that wait, of all accounts; of more than 100,000 these.
pub(crate) async fn count_queued<C: ConnectionTrait>(db: &C) -> Result<i64, DbErr> {
    let queued = Entity::find()
        .filter(Column::Status.eq(WebhookDeliveryStatus::Queued.as_str()))
        .select_only()
        .column(Column::Id)
        .limit(MAX_COUNTED)
        .into_query();
    let count = Query::select().expr(Func::count(Expr::value(1))).from_subquery(queued, "queued").take();
    let row = db.query_one_raw(db.get_database_backend().build(&count)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("webhook_deliveries".into()))?.try_get_by_index(0)
}

/// Saves the claims of deliveries that the transaction has locked, until `until`.
pub(crate) async fn save_claims(tx: &Tx, ids: Vec<Uuid>, until: Time) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .filter(Column::Id.is_in(ids))
        .col_expr(Column::Claim, Expr::col(Column::Claim).add(1))
        .col_expr(Column::Claimed, Expr::value(true))
        .col_expr(Column::DueAt, Expr::value(until.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Ends deliveries of a deleted endpoint that wait, up to a number; claims on them hold no longer.
pub(crate) async fn fail_some(tx: &Tx, account: AccountId, endpoint: Uuid, limit: u64) -> Result<(), DbErr> {
    fail(tx, of_endpoint(account, endpoint), limit).await.map(drop)
}

/// The same of all deleted endpoints. Returns their number.
pub(crate) async fn fail_some_of_deleted(tx: &Tx, limit: u64) -> Result<u64, DbErr> {
    let deleted = webhook_endpoint::Entity::find()
        .select_only()
        .column(webhook_endpoint::Column::Id)
        .filter(webhook_endpoint::Column::DeletedAt.is_not_null())
        .into_query();
    fail(tx, Entity::find().filter(Column::EndpointId.in_subquery(deleted)), limit).await
}

async fn fail(tx: &Tx, deliveries: Select<Entity>, limit: u64) -> Result<u64, DbErr> {
    let waits = || Column::Status.eq(WebhookDeliveryStatus::Queued.as_str());
    let ids = deliveries.filter(waits()).select_only().column(Column::Id).limit(limit).into_query();
    let failed = Entity::update_many()
        .filter(Column::Id.in_subquery(ids))
        .filter(waits())
        .col_expr(Column::Status, Expr::value(WebhookDeliveryStatus::Failed.as_str()))
        .col_expr(Column::Failure, Expr::value(DELETED))
        .col_expr(Column::Claimed, Expr::value(false))
        .exec(tx.conn())
        .await?;
    Ok(failed.rows_affected)
}

/// The condition for the deliveries of a span. Those in progress are not among them, nor, where the endpoint wants order, those that were never
/// attempted: they may wait for an earlier event, and are sent anyway.
fn is_in(endpoint: &WebhookEndpoint, span: &ReplaySpan) -> Condition {
    let mut condition = Condition::all().add(Column::Claimed.eq(false));
    if endpoint.ordered {
        let is_queued = Column::Status.eq(WebhookDeliveryStatus::Queued.as_str());
        condition = condition.add(Condition::all().add(is_queued).add(Column::AttemptCount.eq(0)).not());
    }
    if let Some(at) = span.starts_at {
        condition = condition.add(Column::CreatedAt.gte(at));
    }
    if let Some(at) = span.ends_at {
        condition = condition.add(Column::CreatedAt.lt(at));
    }
    if span.only_failed {
        condition = condition.add(Column::Status.eq(WebhookDeliveryStatus::Failed.as_str()));
    }
    condition
}

/// Returns when the delivery of a span was created that has `number` before it. None: it does not have as many.
pub(crate) async fn find_time_of(
    tx: &Tx,
    endpoint: &WebhookEndpoint,
    span: &ReplaySpan,
    number: u64,
) -> Result<Option<Time>, DbErr> {
    of_endpoint(endpoint.account, endpoint.id)
        .filter(is_in(endpoint, span))
        .select_only()
        .column(Column::CreatedAt)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .offset(number)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await
}

/// Sends the deliveries of a span again. Returns their number.
pub(crate) async fn replay(tx: &Tx, endpoint: &WebhookEndpoint, span: &ReplaySpan, now: Time) -> Result<u64, DbErr> {
    let replayed = Entity::update_many()
        .filter(Column::AccountId.eq(endpoint.account))
        .filter(Column::EndpointId.eq(endpoint.id))
        .filter(is_in(endpoint, span))
        .col_expr(Column::Status, Expr::value(WebhookDeliveryStatus::Queued.as_str()))
        .col_expr(Column::Failures, Expr::value(0))
        .col_expr(Column::DueAt, Expr::value(now.0))
        .exec(tx.conn())
        .await?;
    Ok(replayed.rows_affected)
}

fn of_endpoint(account: AccountId, endpoint: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::EndpointId.eq(endpoint))
}

fn to_row(delivery: &WebhookDelivery) -> Model {
    let delivery = delivery.clone();
    Model {
        id: delivery.id,
        account_id: delivery.account,
        endpoint_id: delivery.endpoint,
        event_id: delivery.event.id,
        event_type: delivery.event.kind,
        source: delivery.event.source,
        aggregate_id: delivery.event.aggregate,
        aggregate_version: delivery.event.version,
        payload: delivery.event.payload,
        status: delivery.status.as_str().to_owned(),
        attempt_count: delivery.attempt_count,
        failures: delivery.failures,
        claim: delivery.claim,
        claimed: delivery.claimed,
        due_at: delivery.due_at,
        response_status: delivery.response_status,
        response_body: delivery.response_body,
        response_micros: i64::try_from(delivery.response_duration.as_micros()).unwrap_or(i64::MAX),
        failure: delivery.failure,
        traceparent: delivery.event.traceparent,
        created_at: delivery.created_at,
        attempted_at: delivery.attempted_at,
    }
}

fn to_domain(row: Model) -> Result<WebhookDelivery, DbErr> {
    let status = super::parse("webhook_deliveries.status", &row.status, WebhookDeliveryStatus::parse)?;
    let event = QueuedEvent {
        id: row.event_id,
        kind: row.event_type,
        source: row.source,
        aggregate: row.aggregate_id,
        version: row.aggregate_version,
        payload: row.payload,
        traceparent: row.traceparent,
    };
    Ok(WebhookDelivery {
        id: row.id,
        account: row.account_id,
        endpoint: row.endpoint_id,
        event,
        status,
        attempt_count: row.attempt_count,
        failures: row.failures,
        claim: row.claim,
        claimed: row.claimed,
        due_at: row.due_at,
        response_status: row.response_status,
        response_body: row.response_body,
        response_duration: Duration::from_micros(u64::try_from(row.response_micros).unwrap_or(0)),
        failure: row.failure,
        created_at: row.created_at,
        attempted_at: row.attempted_at,
    })
}
