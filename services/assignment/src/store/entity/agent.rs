//! A row of `agents`.

use frontdesk_auth::AccountId;
use frontdesk_clock::Time;
use sea_orm::entity::prelude::*;

use crate::domain::Agent;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
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
        Self { id, account_id: account, name, handle, email, active, version, created_at }
    }
}

impl From<Model> for Agent {
    fn from(row: Model) -> Self {
        let Model { id, account_id, name, handle, email, active, version, created_at } = row;
        Self { id, account: account_id, name, handle, email, active, version, created_at }
    }
}
