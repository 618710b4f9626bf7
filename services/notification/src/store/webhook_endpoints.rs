//! Endpoints of webhooks.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect,
    QueryTrait, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, SubQueryStatement},
};

use super::{
    entity::{
        webhook_delivery,
        webhook_endpoint::{Column, Entity, Model},
    },
    webhook_deliveries::IS_NEXT,
};
use crate::domain::{DueEndpoint, SecretVersion, WebhookDeliveryStatus, WebhookEndpoint};

/// Inserts an endpoint.
pub(crate) async fn insert(tx: &Tx, endpoint: &WebhookEndpoint) -> Result<(), DbErr> {
    Entity::insert(to_row(endpoint).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, endpoint: &WebhookEndpoint) -> Result<(), DbErr> {
    let row = to_row(endpoint).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(endpoint.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Notes that an attempt succeeded.
pub(crate) async fn clear_failing_since(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::Id.eq(id))
        .filter(Column::AccountId.eq(account))
        .filter(Column::FailingSince.is_not_null())
        .col_expr(Column::FailingSince, Expr::value(None::<Time>))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns the number of endpoints of an account.
pub(crate) async fn count(tx: &Tx, account: AccountId) -> Result<u64, DbErr> {
    not_deleted(account).count(tx.conn()).await
}

/// Returns the endpoint, unless it is deleted.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<WebhookEndpoint>, DbErr> {
    Ok(not_deleted(account).filter(Column::Id.eq(id)).one(db).await?.map(to_domain))
}

/// Returns the endpoint, deleted or not.
pub(crate) async fn find_also_deleted<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<WebhookEndpoint>, DbErr> {
    Ok(Entity::find_by_id(id).filter(Column::AccountId.eq(account)).one(db).await?.map(to_domain))
}

/// Returns the endpoint, unless it is deleted, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<WebhookEndpoint>, DbErr> {
    Ok(not_deleted(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the endpoint, deleted or not, locked until the transaction ends.
pub(crate) async fn find_also_deleted_for_update(
    tx: &Tx,
    account: AccountId,
    id: Uuid,
) -> Result<Option<WebhookEndpoint>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the endpoints after an id, oldest first.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<WebhookEndpoint>, DbErr> {
    let mut query = not_deleted(account);
    if let Some(last) = after {
        query = query.filter(Column::Id.gt(last));
    }
    // Ids rise with time.
    let rows = query.order_by_asc(Column::Id).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(to_domain).collect())
}

/// Deletes the rows of the endpoints that were deleted before a time.
pub(crate) async fn remove_deleted(tx: &Tx, before: Time) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::DeletedAt.lt(before)).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the enabled endpoints of these accounts.
pub(crate) async fn list_enabled<C: ConnectionTrait>(
    db: &C,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Result<Vec<WebhookEndpoint>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::Enabled.eq(true))
        .filter(Column::DeletedAt.is_null())
        .all(db)
        .await?;
    Ok(rows.into_iter().map(to_domain).collect())
}

/// Returns the accounts that have endpoints.
pub(crate) async fn list_accounts<C: ConnectionTrait>(db: &C) -> Result<Vec<AccountId>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::AccountId)
        .distinct()
        .filter(Column::DeletedAt.is_null())
        .into_tuple()
        .all(db)
        .await
}

/// Returns the enabled endpoints that have due deliveries, of accounts that are in use. Where an endpoint wants order, a delivery that waits for an
/// earlier one of its aggregate is not due.
pub(crate) async fn list_due<C: ConnectionTrait>(db: &C, now: Time) -> Result<Vec<DueEndpoint>, DbErr> {
    let due = webhook_delivery::Entity::find()
        .select_only()
        .column(webhook_delivery::Column::DueAt)
        .filter(
            Expr::col((webhook_delivery::Entity, webhook_delivery::Column::EndpointId)).equals((Entity, Column::Id)),
        )
        .filter(webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Queued.as_str()))
        .filter(webhook_delivery::Column::DueAt.lte(now))
        .filter(Condition::any().add(Column::Ordered.eq(false)).add(Expr::cust(IS_NEXT)))
        .order_by_asc(webhook_delivery::Column::DueAt)
        .limit(1);
    // Not EXISTS, of which PostgreSQL makes a join that reads all deliveries that wait.
    let first_due = Expr::from(SubQueryStatement::SelectStatement(due.into_query()));
    let rows: Vec<(Uuid, Option<Time>)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::FailingSince)
        // In the words of the index, which a value in its place would hide.
        .filter(Expr::col((Entity, Column::Enabled)))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use()))
        .filter(first_due.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, since)| DueEndpoint { id, is_failing: since.is_some() }).collect())
}

/// Returns those of these endpoints that are enabled, of accounts that are in use.
pub(crate) async fn list_enabled_of(
    tx: &Tx,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<WebhookEndpoint>, DbErr> {
    let rows = Entity::find()
        .filter(Column::Id.is_in(ids))
        .filter(Column::Enabled.eq(true))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::AccountId.not_in_subquery(frontdesk_db::accounts_not_in_use()))
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(to_domain).collect())
}

fn not_deleted(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::DeletedAt.is_null())
}

fn to_row(endpoint: &WebhookEndpoint) -> Model {
    let endpoint = endpoint.clone();
    let (previous, ends_at) = endpoint.previous_secret.unzip();
    let (previous_number, previous_source) = previous.map(|secret| (secret.number, secret.source)).unzip();
    Model {
        id: endpoint.id,
        account_id: endpoint.account,
        url: endpoint.url,
        description: endpoint.description,
        event_types: endpoint.event_types.join("\n"),
        ordered: endpoint.ordered,
        enabled: endpoint.enabled,
        disabled_by_failures: endpoint.disabled_by_failures,
        failing_since: endpoint.failing_since,
        secret_number: endpoint.secret.number,
        secret_source: endpoint.secret.source,
        previous_secret_number: previous_number,
        previous_secret_source: previous_source.unwrap_or_default(),
        previous_secret_ends_at: ends_at,
        event_version: endpoint.event_version,
        created_at: endpoint.created_at,
        updated_at: endpoint.updated_at,
        deleted_at: endpoint.deleted_at,
        version: endpoint.version,
    }
}

fn to_domain(row: Model) -> WebhookEndpoint {
    let previous = row.previous_secret_number.zip(row.previous_secret_ends_at);
    let source = row.previous_secret_source;
    WebhookEndpoint {
        id: row.id,
        account: row.account_id,
        url: row.url,
        description: row.description,
        event_types: row.event_types.lines().map(str::to_owned).collect(),
        ordered: row.ordered,
        enabled: row.enabled,
        disabled_by_failures: row.disabled_by_failures,
        failing_since: row.failing_since,
        secret: SecretVersion { number: row.secret_number, source: row.secret_source },
        previous_secret: previous.map(|(number, ends_at)| (SecretVersion { number, source }, ends_at)),
        event_version: row.event_version,
        created_at: row.created_at,
        updated_at: row.updated_at,
        deleted_at: row.deleted_at,
        version: row.version,
    }
}
