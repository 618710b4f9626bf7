//! `webhook_deliveries`: one event for one endpoint. The fields are described in `domain/webhook_delivery.rs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub endpoint_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub source: String,
    pub aggregate_id: Uuid,
    pub aggregate_version: i64,
    pub payload: String,
    pub status: String,
    #[sea_orm(column_name = "attempts")]
    pub attempt_count: i32,
    pub failures: i32,
    pub claim: i64,
    pub claimed: bool,
    pub due_at: Time,
    pub response_status: i32,
    pub response_body: String,
    /// How long the last attempt took (microseconds).
    pub response_micros: i64,
    pub failure: String,
    pub traceparent: String,
    pub created_at: Time,
    pub attempted_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
