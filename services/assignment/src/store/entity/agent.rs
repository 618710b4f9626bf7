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
    pub updated_at: Time,
    pub deactivated_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Agent> for Model {
    fn from(agent: Agent) -> Self {
        let active = agent.is_active();
        let Agent { id, account, name, handle, email, version, created_at, updated_at, deactivated_at } = agent;
        Self { account_id: account.0, id, name, handle, email, active, version, created_at, updated_at, deactivated_at }
    }
}

impl From<Model> for Agent {
    /// Reads also rows of an older version, which has `active` and neither of the last two times.
    fn from(row: Model) -> Self {
        let Model { account_id, id, name, handle, email, active, version, created_at, updated_at, deactivated_at } =
            row;
        let updated_at = updated_at.max(created_at);
        let deactivated_at = (!active).then(|| deactivated_at.unwrap_or(updated_at));
        Self {
            id,
            account: AccountId(account_id),
            name,
            handle,
            email,
            version,
            created_at,
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
        }
    }

    #[test]
    fn an_agent_that_an_older_version_wrote_has_the_times_that_are_known() {
        let (active, deactivated) = (Agent::from(row(true)), Agent::from(row(false)));
        assert_eq!((active.updated_at, active.deactivated_at), (Time(10), None));
        assert_eq!((deactivated.updated_at, deactivated.deactivated_at), (Time(10), Some(Time(10))));
        assert!(!Model::from(deactivated).active);
    }
}
