//! A row of `administrators`.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Administrator;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "administrators")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    pub author_id: Uuid,
    pub name: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Administrator> for Model {
    fn from(administrator: Administrator) -> Self {
        let Administrator { account, subject, author_id, name } = administrator;
        Self { account_id: account, subject, author_id, name }
    }
}

impl From<Model> for Administrator {
    fn from(row: Model) -> Self {
        let Model { account_id, subject, author_id, name } = row;
        Self { account: account_id, subject, author_id, name }
    }
}
