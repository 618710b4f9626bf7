//! A row of `routing_policies`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::RoutingPolicy;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_policies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// A JSON object.
    pub rules: String,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<RoutingPolicy> for Model {
    type Error = DbErr;

    fn try_from(policy: RoutingPolicy) -> Result<Self, DbErr> {
        let rules = serde_json::to_string(&policy.rules).map_err(|error| DbErr::Type(error.to_string()))?;
        let RoutingPolicy { id, account, name, version, created_at, updated_at, deleted_at, .. } = policy;
        Ok(Self { account_id: account.0, id, name, rules, version, created_at, updated_at, deleted_at })
    }
}

impl TryFrom<Model> for RoutingPolicy {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let Model { account_id, id, name, rules, version, created_at, updated_at, deleted_at } = row;
        let rules = serde_json::from_str(&rules).map_err(|error| DbErr::Type(error.to_string()))?;
        Ok(Self { id, account: AccountId(account_id), name, rules, version, created_at, updated_at, deleted_at })
    }
}
