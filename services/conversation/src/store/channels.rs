//! Channels.

use std::collections::{HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*};
use uuid::Uuid;

use super::{
    entity::channel::{Column, Entity, Model},
    events, keyset,
};
use crate::domain::{Channel, ChannelChange};

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Channel>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(Channel::from))
}

/// Several channels, by account and id.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    keys: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashMap<(AccountId, Uuid), Channel>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = keys.unzip();
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id), row.into())).collect())
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Channel>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?.map(Channel::from))
}

/// The channel, which no other transaction changes until this one ends. Several transactions may lock it like this.
pub(crate) async fn find_for_share(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Channel>, DbErr> {
    Ok(in_account(account).filter(Column::Id.eq(id)).lock_shared().one(tx.conn()).await?.map(Channel::from))
}

/// Channels by name, after the cursor (name and id of the last one before). `show_deleted`: deleted ones too.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    show_deleted: bool,
    after: Option<(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Channel>, DbErr> {
    let mut query = in_account(account);
    if !show_deleted {
        query = query.filter(Column::Deleted.eq(false));
    }
    if let Some((name, id)) = after {
        query = query.filter(keyset::after([Column::Name, Column::Id], (name, id)));
    }
    let rows = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(Channel::from).collect())
}

/// Inserts a new channel with its event.
pub(crate) async fn insert(tx: &mut Tx, channel: &Channel) -> Result<(), DbErr> {
    let row = Model::from(channel.clone()).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    events::append_channel_created(tx, channel).await
}

/// Saves a changed channel under its next version, with the event of the change.
pub(crate) async fn save(tx: &mut Tx, channel: &mut Channel, change: ChannelChange, now: Time) -> Result<(), DbErr> {
    channel.version += 1;
    channel.updated_at = channel.updated_at.max(now);
    let row = Model::from(channel.clone()).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(channel.account)).exec(tx.conn()).await?;
    match change {
        ChannelChange::Updated => events::append_channel_updated(tx, channel).await,
        ChannelChange::Deleted => events::append_channel_deleted(tx, channel).await,
        ChannelChange::Undeleted => events::append_channel_undeleted(tx, channel).await,
    }
}
