//! A row of `opening_hours`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::OpeningHours;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "opening_hours")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// A JSON object.
    pub schedule: String,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<OpeningHours> for Model {
    type Error = DbErr;

    fn try_from(hours: OpeningHours) -> Result<Self, DbErr> {
        let schedule = serde_json::to_string(&hours.schedule).map_err(|error| DbErr::Type(error.to_string()))?;
        let OpeningHours { id, account, name, version, created_at, updated_at, deleted_at, .. } = hours;
        Ok(Self { account_id: account.0, id, name, schedule, version, created_at, updated_at, deleted_at })
    }
}

impl TryFrom<Model> for OpeningHours {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let Model { account_id, id, name, schedule, version, created_at, updated_at, deleted_at } = row;
        let schedule = serde_json::from_str(&schedule).map_err(|error| DbErr::Type(error.to_string()))?;
        Ok(Self { id, account: AccountId(account_id), name, schedule, version, created_at, updated_at, deleted_at })
    }
}
