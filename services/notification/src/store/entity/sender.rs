//! `senders`: addresses that mails come from. The fields are described in `domain/sender.rs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "senders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    #[sea_orm(column_name = "address")]
    pub email: String,
    pub display_name: String,
    #[sea_orm(column_name = "reply_to")]
    pub reply_to_email: String,
    #[sea_orm(column_name = "unsubscribe_to")]
    pub unsubscribe_email: String,
    pub verified: bool,
    pub fallback: bool,
    pub code_hash: Option<Vec<u8>>,
    pub code_expires_at: Time,
    pub code_tries: i32,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
