//! A row of `visitor_keys`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::VisitorKey;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "visitor_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub account_id: AccountId,
    /// Id of the installation's secret that the key is derived from.
    pub secret_id: String,
    pub created_at: Time,
    pub ends_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<VisitorKey> for Model {
    fn from(key: VisitorKey) -> Self {
        let VisitorKey { channel_id, number, account, secret_id, created_at, ends_at } = key;
        Self { channel_id, number, account_id: account, secret_id, created_at, ends_at }
    }
}

impl From<Model> for VisitorKey {
    fn from(row: Model) -> Self {
        let Model { channel_id, number, account_id, secret_id, created_at, ends_at } = row;
        Self { channel_id, number, account: account_id, secret_id, created_at, ends_at }
    }
}
