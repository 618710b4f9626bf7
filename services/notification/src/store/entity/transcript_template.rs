//! `transcript_templates`: what accounts have in the place of the shipped templates. The fields are described in
//! `domain/transcript_template.rs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "transcript_templates")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub language: String,
    pub html: String,
    #[sea_orm(column_name = "plain_text")]
    pub text: String,
    pub words: String,
    pub version: i64,
    pub updated_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
