//! A row of `opening_hours`.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::OpeningHours;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "opening_hours")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// A JSON object.
    pub schedule: String,
    pub deleted: bool,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<OpeningHours> for Model {
    type Error = DbErr;

    fn try_from(hours: OpeningHours) -> Result<Self, DbErr> {
        let schedule = serde_json::to_string(&hours.schedule).map_err(|error| DbErr::Type(error.to_string()))?;
        let OpeningHours { account, id, deleted, version, .. } = hours;
        Ok(Self { account_id: account, id, schedule, deleted, version })
    }
}

impl TryFrom<Model> for OpeningHours {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let Model { account_id, id, schedule, deleted, version } = row;
        let schedule = serde_json::from_str(&schedule).map_err(|error| DbErr::Type(error.to_string()))?;
        Ok(Self { account: account_id, id, schedule, deleted, version })
    }
}
