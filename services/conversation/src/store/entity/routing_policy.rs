//! A row of `routing_policies`.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::RoutingPolicy;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_policies")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub deleted: bool,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<RoutingPolicy> for Model {
    fn from(policy: RoutingPolicy) -> Self {
        let RoutingPolicy { account, id, deleted, version } = policy;
        Self { account_id: account, id, deleted, version }
    }
}
