//! A row of `visitors`.

use frontdesk_db::{AccountId, Columns};
use sea_orm::entity::prelude::*;

use crate::domain::{Visitor, VisitorLink};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "visitors")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub contact_id: Uuid,
    pub link: VisitorLink,
    pub address: Option<String>,
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
            id: columns.read()?,
            contact_id: columns.read()?,
            link: columns.read()?,
            address: columns.read_optional()?,
            name: columns.read()?,
        })
    }
}

impl From<Visitor> for Model {
    fn from(visitor: Visitor) -> Self {
        let Visitor { account, id, contact_id, link, address, name } = visitor;
        Self { account_id: account, id, contact_id, link, address, name }
    }
}

impl From<Model> for Visitor {
    fn from(row: Model) -> Self {
        let Model { account_id, id, contact_id, link, address, name } = row;
        Self { account: account_id, id, contact_id, link, address, name }
    }
}
