//! `webhook_endpoints`: addresses that events are posted to. The fields are described in `domain/webhook_endpoint.rs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_endpoints")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub url: String,
    pub description: String,
    /// One on a line.
    pub event_types: String,
    pub ordered: bool,
    pub enabled: bool,
    pub disabled_by_failures: bool,
    pub failing_since: Option<Time>,
    pub secret_number: i32,
    pub secret_source: String,
    /// None: there is no previous secret.
    pub previous_secret_number: Option<i32>,
    pub previous_secret_source: String,
    pub previous_secret_ends_at: Option<Time>,
    pub event_version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
