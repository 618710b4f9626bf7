//! A row of `agents`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Agent;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub handle: String,
    pub email: String,
    pub active: bool,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Agent> for Model {
    fn from(agent: Agent) -> Self {
        let Agent { id, account, name, handle, email, active, version, created_at } = agent;
        Self { account_id: account.0, id, name, handle, email, active, version, created_at }
    }
}

impl From<Model> for Agent {
    fn from(row: Model) -> Self {
        let Model { account_id, id, name, handle, email, active, version, created_at } = row;
        Self { id, account: AccountId(account_id), name, handle, email, active, version, created_at }
    }
}
