//! A channel.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Greeter;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub name: String,
    pub website_url: String,
    pub greeter: Greeter,
    pub bot_id: Option<Uuid>,
    pub transcript_enabled: bool,
    pub transcript_sender_id: Option<Uuid>,
    pub time_zone: String,
    pub deleted: bool,
    pub created_at: Time,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
