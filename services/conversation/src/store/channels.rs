//! Channels.

use std::collections::{HashMap, HashSet};

use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1 as events;
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::{
    SOURCE,
    entity::channels::{Column, Entity, Model},
};

fn of(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Model>, DbErr> {
    of(account).filter(Column::Id.eq(id)).one(conn).await
}

/// Channels by account and id.
pub(crate) async fn find_each<C: ConnectionTrait>(
    conn: &C,
    of: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashMap<(AccountId, Uuid), Model>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = of.unzip();
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id), row)).collect())
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Model>, DbErr> {
    of(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await
}

/// Channels that are not deleted, by name, after the cursor.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    after: Option<(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut query = of(account).filter(Column::Deleted.eq(false));
    if let Some((name, id)) = after {
        let later = Column::Name.gt(name.clone());
        query = query.filter(Condition::any().add(later).add(Column::Name.eq(name).and(Column::Id.gt(id))));
    }
    query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(limit).all(conn).await
}

/// Writes a new channel.
pub(crate) async fn insert(tx: &mut Tx, channel: &Model) -> Result<(), DbErr> {
    Entity::insert(channel.clone().into_active_model().reset_all()).exec_without_returning(tx.conn()).await?;
    append(tx, aggregate(channel), &events::ChannelCreated { channel_id: channel.id.to_string() }).await
}

/// Writes a changed channel under its next version.
pub(crate) async fn save(tx: &mut Tx, channel: &mut Model) -> Result<(), DbErr> {
    channel.version += 1;
    let row = channel.clone().into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(channel.account_id)).exec(tx.conn()).await?;
    append(tx, aggregate(channel), &events::ChannelUpdated { channel_id: channel.id.to_string() }).await
}

fn aggregate(channel: &Model) -> Aggregate {
    Aggregate { source: SOURCE, account: channel.account_id, kind: "channel", id: channel.id, version: channel.version }
}
