//! What a close froze.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "closes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub close_number: i32,
    pub account_id: AccountId,
    pub contact_id: Option<Uuid>,
    pub recipient: Option<String>,
    pub recipient_verified: bool,
    pub had_bot_session: bool,
    pub had_agent: bool,
    pub had_ticket: bool,
    pub transcript_enabled: bool,
    pub sender_id: Option<Uuid>,
    pub last_sequence: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
