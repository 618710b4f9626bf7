//! The arbiter row.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{CloseReason, OwnerKind, Status};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub channel_id: Uuid,
    pub visitor_id: String,
    pub contact_id: Option<Uuid>,
    pub status: Status,
    pub page_url: String,
    pub page_title: String,
    pub previous_id: Option<Uuid>,
    pub assignee_kind: Option<OwnerKind>,
    pub assignee_id: Option<Uuid>,
    pub epoch: i64,
    pub bot_id: Option<Uuid>,
    pub bot_session_id: Option<Uuid>,
    pub bot_in_charge: bool,
    pub bot_timeout_us: Option<i64>,
    pub bot_started_at: Option<Time>,
    pub had_agent: bool,
    pub last_sequence: i64,
    pub last_visitor_sequence: i64,
    pub close_number: i32,
    pub close_reason: Option<CloseReason>,
    pub closed_at: Option<Time>,
    pub created_at: Time,
    pub last_visitor_activity_at: Time,
    pub last_activity_at: Time,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
