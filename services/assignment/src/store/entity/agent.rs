//! A row of `agents`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Agent, Capacity};

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
    pub updated_at: Time,
    pub deactivated_at: Option<Time>,
    /// Maximum number of open conversations. None: unlimited.
    pub capacity: Option<i32>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Agent> for Model {
    fn from(agent: Agent) -> Self {
        let active = agent.is_active();
        let capacity = match agent.capacity {
            Capacity::Conversations(conversations) => Some(conversations),
            Capacity::Unlimited => None,
        };
        Self {
            account_id: agent.account.0,
            id: agent.id,
            name: agent.name,
            handle: agent.handle,
            email: agent.email,
            active,
            version: agent.version,
            created_at: agent.created_at,
            updated_at: agent.updated_at,
            deactivated_at: agent.deactivated_at,
            capacity,
        }
    }
}

impl From<Model> for Agent {
    /// Reads also rows of an older version, which has `active` and neither of the last two times.
    fn from(row: Model) -> Self {
        let updated_at = row.updated_at.max(row.created_at);
        let deactivated_at = (!row.active).then(|| row.deactivated_at.unwrap_or(updated_at));
        Self {
            id: row.id,
            account: AccountId(row.account_id),
            name: row.name,
            handle: row.handle,
            email: row.email,
            capacity: row.capacity.map_or(Capacity::Unlimited, Capacity::Conversations),
            version: row.version,
            created_at: row.created_at,
            updated_at,
            deactivated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(active: bool) -> Model {
        Model {
            account_id: Uuid::from_u128(1),
            id: Uuid::from_u128(2),
            name: "Ada".into(),
            handle: "ada".into(),
            email: String::new(),
            active,
            version: 1,
            created_at: Time(10),
            updated_at: Time(0),
            deactivated_at: None,
            capacity: Some(5),
        }
    }

    #[test]
    fn an_agent_that_an_older_version_wrote_has_the_times_that_are_known() {
        let (active, deactivated) = (Agent::from(row(true)), Agent::from(row(false)));
        assert_eq!((active.updated_at, active.deactivated_at), (Time(10), None));
        assert_eq!((deactivated.updated_at, deactivated.deactivated_at), (Time(10), Some(Time(10))));
        assert!(!Model::from(deactivated).active);
    }

    #[test]
    fn a_row_without_a_capacity_is_of_an_agent_without_a_limit() {
        for (column, capacity) in [(Some(0), Capacity::Conversations(0)), (None, Capacity::Unlimited)] {
            let agent = Agent::from(Model { capacity: column, ..row(true) });
            assert_eq!(agent.capacity, capacity);
            assert_eq!(Model::from(agent).capacity, column);
        }
    }
}
