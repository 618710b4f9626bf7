//! A row of `contact_emails`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::ContactEmail;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_emails")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub address: String,
    pub contact_id: Uuid,
    pub verified: bool,
    pub added_at: Time,
    /// Place in the contact's list, from 0.
    pub position: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for ContactEmail {
    fn from(row: Model) -> Self {
        Self { address: row.address, verified: row.verified, added_at: row.added_at }
    }
}
