//! A row of `bots`.

use std::time::Duration;

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Bot;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bots")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub timeout_us: Option<i64>,
    pub deleted: bool,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Bot> for Model {
    fn from(bot: Bot) -> Self {
        let Bot { account, id, name, timeout, deleted, version } = bot;
        Self { account_id: account, id, name, timeout_us: timeout.map(to_microseconds), deleted, version }
    }
}

impl From<Model> for Bot {
    fn from(row: Model) -> Self {
        let Model { account_id, id, name, timeout_us, deleted, version } = row;
        Self { account: account_id, id, name, timeout: timeout_us.map(from_microseconds), deleted, version }
    }
}

pub(crate) fn to_microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn from_microseconds(microseconds: i64) -> Duration {
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
}
