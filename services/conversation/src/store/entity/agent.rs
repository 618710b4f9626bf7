//! A row of `agents`.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Agent, RosterState};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub active: bool,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Version of an agent whose name comes from a call, before the roster's answer or event.
pub(crate) const NOT_ON_ROSTER_YET: i64 = 0;

impl From<Agent> for Model {
    fn from(agent: Agent) -> Self {
        let Agent { account, id, name, roster } = agent;
        let RosterState { active, version } =
            roster.unwrap_or(RosterState { active: true, version: NOT_ON_ROSTER_YET });
        Self { account_id: account, id, name, active, version }
    }
}

impl From<Model> for Agent {
    fn from(row: Model) -> Self {
        let Model { account_id, id, name, active, version } = row;
        let roster = (version != NOT_ON_ROSTER_YET).then_some(RosterState { active, version });
        Self { account: account_id, id, name, roster }
    }
}
