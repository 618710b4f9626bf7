//! Assignments as callers read them (rule A8).

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Actor, Assignment, AssignmentCause};

/// An assignment with its end and with the names that the roster holds today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignmentView {
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    /// None: the conversation is unassigned.
    pub(crate) owner: Option<NamedActor>,
    /// The actor who changed the owner. None: not known.
    pub(crate) by: Option<NamedActor>,
    /// Why the owner changed. None: not known.
    pub(crate) cause: Option<AssignmentCause>,
    /// None: not known.
    pub(crate) started_at: Option<Time>,
    /// None: the period lasts, lasted until the conversation was closed, or the next epoch is not recorded.
    pub(crate) ended_at: Option<Time>,
}

/// An actor and the current name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedActor {
    pub(crate) actor: Actor,
    /// Empty: the roster has no agent with this id, or the actor is not an agent.
    pub(crate) name: String,
}

impl AssignmentView {
    /// Returns the view of an assignment without its end.
    pub(crate) fn new(assignment: Assignment, names: &BTreeMap<Uuid, String>) -> Self {
        let Assignment { conversation, epoch, owner, by, cause, started_at } = assignment;
        Self {
            conversation,
            epoch,
            owner: owner.map(|actor| NamedActor::new(actor, names)),
            by: by.map(|actor| NamedActor::new(actor, names)),
            cause,
            started_at: Some(started_at),
            ended_at: None,
        }
    }

    /// Returns the view of an assignment that the conversation's row has answered and the history has not recorded: the event
    /// that began the period has not arrived.
    pub(crate) fn unrecorded(
        conversation: Uuid,
        epoch: i64,
        owner: Option<Actor>,
        names: &BTreeMap<Uuid, String>,
    ) -> Self {
        let owner = owner.map(|actor| NamedActor::new(actor, names));
        Self { conversation, epoch, owner, by: None, cause: None, started_at: None, ended_at: None }
    }

    /// Views of assignments of one conversation, which are sorted by epoch. A period ends where the next epoch begins; a gap
    /// between two epochs is left open.
    pub(crate) fn history(assignments: Vec<Assignment>, names: &BTreeMap<Uuid, String>) -> Vec<Self> {
        let mut views: Vec<Self> = assignments.into_iter().map(|assignment| Self::new(assignment, names)).collect();
        for next in 1..views.len() {
            if views[next].epoch == views[next - 1].epoch + 1 {
                views[next - 1].ended_at = views[next].started_at;
            }
        }
        views
    }
}

impl NamedActor {
    fn new(actor: Actor, names: &BTreeMap<Uuid, String>) -> Self {
        let name = actor.agent_id().and_then(|id| names.get(&id)).cloned().unwrap_or_default();
        Self { actor, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(epoch: i64, owner: Option<Actor>) -> Assignment {
        Assignment {
            conversation: Uuid::from_u128(1),
            epoch,
            owner,
            by: Some(Actor::System),
            cause: Some(AssignmentCause::ByHand),
            started_at: Time(epoch * 10),
        }
    }

    #[test]
    fn a8_a_period_ends_when_the_next_epoch_begins_and_a_gap_is_left_open() {
        let assignments = [1, 2, 4].map(|epoch| assignment(epoch, None)).to_vec();
        let ends: Vec<_> =
            AssignmentView::history(assignments, &BTreeMap::new()).into_iter().map(|view| view.ended_at).collect();
        assert_eq!(ends, [Some(Time(20)), None, None]);
    }

    #[test]
    fn an_agent_has_the_name_of_the_roster_and_others_have_none() {
        let (ada, eve) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let names = BTreeMap::from([(ada, "Ada".to_owned())]);
        let name_of = |actor| AssignmentView::new(assignment(1, Some(actor)), &names).owner.unwrap().name;
        let actors = [Actor::agent(ada), Actor::agent(eve), Actor::Bot(ada.to_string())];
        assert_eq!(actors.map(name_of), ["Ada", "", ""]);
    }
}
