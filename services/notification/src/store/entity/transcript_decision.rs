//! `transcript_decisions`: what was decided at a close, with the facts that the close stored.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "transcript_decisions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub conversation_id: Uuid,
    pub close_number: i32,
    pub skip_reason: Option<String>,
    pub delivery_id: Option<Uuid>,
    pub channel_id: Option<Uuid>,
    pub contact_id: Option<Uuid>,
    pub sender_id: Option<Uuid>,
    pub last_sequence: i64,
    pub had_bot_session: bool,
    pub had_agent: bool,
    pub had_ticket: bool,
    #[sea_orm(column_name = "address_usable")]
    pub email_usable: bool,
    #[sea_orm(column_name = "address_verified")]
    pub email_verified: bool,
    pub token_email_unusable: bool,
    pub transcript_enabled: bool,
    pub closed_at: Time,
    pub created_at: Time,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
