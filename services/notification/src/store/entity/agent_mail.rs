//! `agent_mails`: what each mail to an agent is about.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_mails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: Uuid,
    pub account_id: AccountId,
    pub agent_id: Uuid,
    pub conversation_id: Uuid,
    pub mentions: i32,
    pub assignments: i32,
    pub takes_more: bool,
    pub due_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
