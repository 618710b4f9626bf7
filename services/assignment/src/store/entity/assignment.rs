//! A row of `assignments`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Actor, Assignment, AssignmentCause};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assignments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub epoch: i64,
    pub owner_kind: i32,
    pub owner_id: String,
    pub by_kind: i32,
    pub by_id: String,
    pub cause: i32,
    pub started_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn new(account: AccountId, assignment: Assignment) -> Self {
        let Assignment { conversation, epoch, owner, by, cause, started_at } = assignment;
        let (owner_kind, owner_id) = from_actor(owner);
        let (by_kind, by_id) = from_actor(by);
        let cause = cause.map_or(0, from_cause);
        Self {
            account_id: account.0,
            conversation_id: conversation,
            epoch,
            owner_kind,
            owner_id,
            by_kind,
            by_id,
            cause,
            started_at,
        }
    }
}

impl From<Model> for Assignment {
    fn from(row: Model) -> Self {
        Self {
            conversation: row.conversation_id,
            epoch: row.epoch,
            owner: to_actor(row.owner_kind, row.owner_id),
            by: to_actor(row.by_kind, row.by_id),
            cause: to_cause(row.cause),
            started_at: row.started_at,
        }
    }
}

/// Returns the kind and the id of an actor, as their columns hold them. Kind 0: no actor.
fn from_actor(actor: Option<Actor>) -> (i32, String) {
    match actor {
        None => (0, String::new()),
        Some(Actor::Agent(id)) => (1, id),
        Some(Actor::Bot(id)) => (2, id),
        Some(Actor::System) => (3, String::new()),
        Some(Actor::Admin(id)) => (4, id),
    }
}

fn to_actor(kind: i32, id: String) -> Option<Actor> {
    match kind {
        1 => Some(Actor::Agent(id)),
        2 => Some(Actor::Bot(id)),
        3 => Some(Actor::System),
        4 => Some(Actor::Admin(id)),
        _ => None,
    }
}

fn from_cause(cause: AssignmentCause) -> i32 {
    match cause {
        AssignmentCause::Started => 1,
        AssignmentCause::ByHand => 2,
        AssignmentCause::HandedOff => 3,
        AssignmentCause::Reopened => 4,
        AssignmentCause::Routed => 5,
        AssignmentCause::AgentDeactivated => 6,
        AssignmentCause::AgentUnreachable => 7,
    }
}

fn to_cause(cause: i32) -> Option<AssignmentCause> {
    match cause {
        1 => Some(AssignmentCause::Started),
        2 => Some(AssignmentCause::ByHand),
        3 => Some(AssignmentCause::HandedOff),
        4 => Some(AssignmentCause::Reopened),
        5 => Some(AssignmentCause::Routed),
        6 => Some(AssignmentCause::AgentDeactivated),
        7 => Some(AssignmentCause::AgentUnreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of existing databases hold these numbers.
    #[test]
    fn a_row_holds_the_kinds_and_causes_by_fixed_numbers() {
        let agent = || Actor::Agent("a".into());
        let rows = [
            (None, Actor::System, AssignmentCause::Started, (0, 3, 1)),
            (Some(agent()), agent(), AssignmentCause::ByHand, (1, 1, 2)),
            (None, Actor::Admin("root".into()), AssignmentCause::ByHand, (0, 4, 2)),
            (Some(Actor::Bot("b".into())), Actor::Bot("b".into()), AssignmentCause::HandedOff, (2, 2, 3)),
            (Some(agent()), agent(), AssignmentCause::Reopened, (1, 1, 4)),
            (Some(agent()), Actor::System, AssignmentCause::Routed, (1, 3, 5)),
            (None, Actor::System, AssignmentCause::AgentDeactivated, (0, 3, 6)),
            (None, Actor::System, AssignmentCause::AgentUnreachable, (0, 3, 7)),
        ];
        for (owner, by, cause, numbers) in rows {
            let assignment = Assignment {
                conversation: Uuid::from_u128(1),
                epoch: 1,
                owner,
                by: Some(by),
                cause: Some(cause),
                started_at: Time(1),
            };
            let row = Model::new(AccountId(Uuid::from_u128(2)), assignment.clone());
            assert_eq!((row.owner_kind, row.by_kind, row.cause), numbers);
            assert_eq!(Assignment::from(row), assignment);
        }
    }
}
