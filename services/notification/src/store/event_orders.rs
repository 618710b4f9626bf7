//! Which events of an aggregate have arrived, for accounts with endpoints that want them in order.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*, sea_query::OnConflict,
};

use super::entity::webhook_event_order::{Column, Entity, Model};
use crate::domain::EventOrder;

/// An aggregate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AggregateKey {
    pub(crate) account: AccountId,
    /// The service that owns it: ids are unique within one.
    pub(crate) source: String,
    pub(crate) aggregate: Uuid,
}

/// Returns the orders of these aggregates, locked until the transaction ends. Of one that is not known no event has arrived.
pub(crate) async fn lock(
    tx: &Tx,
    mut keys: Vec<AggregateKey>,
    now: Time,
) -> Result<BTreeMap<AggregateKey, EventOrder>, DbErr> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Transactions that wait for several of them lock them in this order.
    keys.sort_unstable();
    keys.dedup();
    let unknown = keys.iter().map(|key| to_row(key, &EventOrder::new(now)).into_active_model());
    let once = OnConflict::columns([Column::AccountId, Column::Source, Column::AggregateId]).do_nothing().to_owned();
    Entity::insert_many(unknown).on_conflict(once).exec_without_returning(tx.conn()).await?;
    let rows = Entity::find()
        .filter(keys.iter().fold(Condition::any(), |any, key| any.add(is(key))))
        .order_by_asc(Column::AccountId)
        .order_by_asc(Column::Source)
        .order_by_asc(Column::AggregateId)
        .lock_exclusive()
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_domain).collect()
}

/// Writes every column of these, which [`lock`] returned.
pub(crate) async fn save(tx: &Tx, orders: &BTreeMap<AggregateKey, EventOrder>) -> Result<(), DbErr> {
    if orders.is_empty() {
        return Ok(());
    }
    let rows = orders.iter().map(|(key, order)| to_row(key, order).into_active_model());
    let newer = OnConflict::columns([Column::AccountId, Column::Source, Column::AggregateId])
        .update_columns([Column::Version, Column::Ahead, Column::WaitsSince, Column::UpdatedAt])
        .to_owned();
    Entity::insert_many(rows).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

fn is(key: &AggregateKey) -> Condition {
    Condition::all()
        .add(Column::AccountId.eq(key.account))
        .add(Column::Source.eq(&key.source))
        .add(Column::AggregateId.eq(key.aggregate))
}

fn to_row(key: &AggregateKey, order: &EventOrder) -> Model {
    Model {
        account_id: key.account,
        source: key.source.clone(),
        aggregate_id: key.aggregate,
        version: order.version,
        ahead: order.ahead.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        waits_since: order.waits_since,
        updated_at: order.updated_at,
    }
}

fn to_domain(row: Model) -> Result<(AggregateKey, EventOrder), DbErr> {
    let key = AggregateKey { account: row.account_id, source: row.source, aggregate: row.aggregate_id };
    let ahead = row.ahead.split(',').filter(|version| !version.is_empty()).map(str::parse::<i64>);
    let ahead =
        ahead.collect::<Result<BTreeSet<_>, _>>().map_err(|_| DbErr::Type("webhook_event_orders.ahead".into()))?;
    let order = EventOrder {
        version: row.version,
        ahead,
        waits_since: row.waits_since,
        is_released: false,
        updated_at: row.updated_at,
    };
    Ok((key, order))
}
