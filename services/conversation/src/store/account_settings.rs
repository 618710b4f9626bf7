//! Settings of accounts. An account without a row has the defaults.

use std::collections::{HashMap, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QuerySelect, entity::prelude::*, sea_query::OnConflict};

use super::{
    entity::account_settings::{Column, Entity, Model},
    events,
};
use crate::domain::AccountSettings;

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<AccountSettings, DbErr> {
    let row = Entity::find().filter(Column::AccountId.eq(account)).one(conn).await?;
    row.map_or_else(|| Ok(AccountSettings::new(account)), AccountSettings::try_from)
}

/// Those of several accounts, without those that have the defaults.
pub(super) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    accounts: HashSet<AccountId>,
) -> Result<HashMap<AccountId, AccountSettings>, DbErr> {
    if accounts.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).all(conn).await?;
    let settings = rows.into_iter().map(AccountSettings::try_from);
    settings.map(|settings| settings.map(|settings| (settings.account, settings))).collect()
}

/// The settings, locked. A row with the defaults is inserted first, so that there is one to lock; roll back when they stay as they are.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId) -> Result<AccountSettings, DbErr> {
    let row = Model::from(AccountSettings::new(account)).into_active_model().reset_all();
    let known = OnConflict::columns([Column::AccountId]).do_nothing().to_owned();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    let row = Entity::find().filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await?;
    row.map_or_else(|| Ok(AccountSettings::new(account)), AccountSettings::try_from)
}

/// Saves changed settings under their next version, with their event.
pub(crate) async fn save(tx: &mut Tx, settings: &mut AccountSettings, now: Time) -> Result<(), DbErr> {
    settings.version += 1;
    // A clock that went back moves no time back.
    settings.updated_at = settings.updated_at.max(Some(now));
    let row = Model::from(settings.clone()).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(settings.account)).exec(tx.conn()).await?;
    events::append_settings_updated(tx, settings).await
}
