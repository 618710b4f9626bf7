//! A row of `agent_statuses`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{AgentStatus, Availability};

/// The number of an available agent in the columns `chosen` and `published`.
pub const AVAILABLE: i32 = 1;
/// The number of an agent who is away.
pub const AWAY: i32 = 2;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_statuses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent_id: Uuid,
    pub chosen: i32,
    pub published: i32,
    pub changed_at: Option<Time>,
    pub heartbeat_at: Option<Time>,
    pub check_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<AgentStatus> for Model {
    fn from(status: AgentStatus) -> Self {
        Self {
            account_id: status.account.0,
            agent_id: status.agent,
            chosen: from_availability(status.chosen),
            published: from_availability(status.published),
            changed_at: status.changed_at,
            heartbeat_at: status.heartbeat_at,
            check_at: status.check_at,
            version: status.version,
        }
    }
}

impl From<Model> for AgentStatus {
    fn from(row: Model) -> Self {
        Self {
            account: AccountId(row.account_id),
            agent: row.agent_id,
            chosen: to_availability(row.chosen),
            published: to_availability(row.published),
            changed_at: row.changed_at,
            heartbeat_at: row.heartbeat_at,
            check_at: row.check_at,
            version: row.version,
        }
    }
}

fn from_availability(availability: Availability) -> i32 {
    match availability {
        Availability::Available => AVAILABLE,
        Availability::Away => AWAY,
    }
}

/// An unknown number, which only a newer version writes, counts as away.
fn to_availability(number: i32) -> Availability {
    if number == AVAILABLE { Availability::Available } else { Availability::Away }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of existing databases hold these numbers.
    #[test]
    fn a_row_holds_availability_by_fixed_numbers() {
        for (availability, number) in [(Availability::Available, 1), (Availability::Away, 2)] {
            let status = AgentStatus::new(AccountId(Uuid::from_u128(1)), Uuid::from_u128(2));
            let status = AgentStatus { chosen: availability, published: availability, ..status };
            let row = Model::from(status.clone());
            assert_eq!((row.chosen, row.published), (number, number));
            assert_eq!(AgentStatus::from(row), status);
        }
    }
}
