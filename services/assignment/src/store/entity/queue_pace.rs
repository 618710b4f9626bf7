//! A row of `queue_paces`.

use std::time::Duration;

use frontdesk_clock::Time;
use sea_orm::entity::prelude::*;

use crate::domain::QueuePace;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "queue_paces")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The zero UUID for the default policy.
    #[sea_orm(primary_key, auto_increment = false)]
    pub policy_id: Uuid,
    /// The zero UUID where no bot named a team.
    #[sea_orm(primary_key, auto_increment = false)]
    pub team_id: Uuid,
    pub samples: i32,
    /// Microseconds.
    pub mean_us: i64,
    pub last_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for QueuePace {
    fn from(row: Model) -> Self {
        Self {
            samples: u32::try_from(row.samples).unwrap_or(0),
            mean: Duration::from_micros(u64::try_from(row.mean_us).unwrap_or(0)),
            last_at: row.last_at,
        }
    }
}
