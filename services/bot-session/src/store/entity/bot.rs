//! A row of `bots`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub name: String,
    pub timeout_us: Option<i64>,
    pub flow: String,
    pub deleted: bool,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Option<Time>,
    pub deleted_at: Option<Time>,
}

/// A row without its flow.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub struct Summary {
    pub id: Uuid,
    pub account_id: AccountId,
    pub name: String,
    pub timeout_us: Option<i64>,
    pub deleted: bool,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Option<Time>,
    pub deleted_at: Option<Time>,
}

/// A row with its flow.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub struct Whole {
    #[sea_orm(nested)]
    pub summary: Summary,
    pub flow: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
