//! A row of `teams`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Team;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub external_id: String,
    pub member_count: i32,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Team> for Model {
    fn from(team: Team) -> Self {
        Self {
            account_id: team.account.0,
            id: team.id,
            name: team.name,
            external_id: team.external_id,
            member_count: team.member_count,
            version: team.version,
            created_at: team.created_at,
            updated_at: team.updated_at,
            deleted_at: team.deleted_at,
        }
    }
}

impl From<Model> for Team {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            account: AccountId(row.account_id),
            name: row.name,
            external_id: row.external_id,
            member_count: row.member_count,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}
