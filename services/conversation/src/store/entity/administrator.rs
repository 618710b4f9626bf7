//! A row of `administrators`.

use frontdesk_db::{AccountId, Columns};
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

impl Model {
    /// Reads the next columns of a result, which are those of the table in the order of [`Column`].
    pub(crate) fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            account_id: columns.read()?,
            subject: columns.read()?,
            author_id: columns.read()?,
            name: columns.read()?,
        })
    }
}

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
