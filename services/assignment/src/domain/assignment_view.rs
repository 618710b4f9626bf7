//! Assignments as callers read them (rule A8).

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Actor, Assignment, AssignmentCause};

/// An assignment with its end and with the names of today.
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
    /// None: the period lasts, or the next epoch is not recorded.
    pub(crate) ended_at: Option<Time>,
}

/// An actor and the current name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedActor {
    pub(crate) actor: Actor,
    /// Empty: no name of the actor is known.
    pub(crate) name: String,
}

/// The names of actors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActorNames {
    /// Those of agents, as the roster has them.
    pub(crate) agents: BTreeMap<Uuid, String>,
    /// Those of administrators, by the subject of their token.
    pub(crate) administrators: BTreeMap<String, String>,
}

impl ActorNames {
    /// Returns the name of the actor. Empty: none is known.
    fn of(&self, actor: &Actor) -> String {
        let name = match actor {
            Actor::Agent(_) => actor.agent_id().and_then(|id| self.agents.get(&id)),
            Actor::Admin(subject) => self.administrators.get(subject),
            Actor::Bot(_) | Actor::System => None,
        };
        name.cloned().unwrap_or_default()
    }
}

impl AssignmentView {
    /// Returns the view of an assignment without its end.
    pub(crate) fn new(assignment: Assignment, names: &ActorNames) -> Self {
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
    pub(crate) fn unrecorded(conversation: Uuid, epoch: i64, owner: Option<Actor>, names: &ActorNames) -> Self {
        let owner = owner.map(|actor| NamedActor::new(actor, names));
        Self { conversation, epoch, owner, by: None, cause: None, started_at: None, ended_at: None }
    }

    /// Views of assignments of one conversation, which are sorted by epoch. A period ends with the close in its epoch, otherwise where the
    /// next epoch begins; a gap between two epochs is left open. `closed_at`: by epoch.
    pub(crate) fn history(
        assignments: Vec<Assignment>,
        closed_at: &BTreeMap<i64, Time>,
        names: &ActorNames,
    ) -> Vec<Self> {
        let mut views: Vec<Self> = assignments.into_iter().map(|assignment| Self::new(assignment, names)).collect();
        for next in 1..views.len() {
            if views[next].epoch == views[next - 1].epoch + 1 {
                views[next - 1].ended_at = views[next].started_at;
            }
        }
        for view in &mut views {
            view.ended_at = closed_at.get(&view.epoch).copied().or(view.ended_at);
        }
        views
    }
}

impl NamedActor {
    fn new(actor: Actor, names: &ActorNames) -> Self {
        let name = names.of(&actor);
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

    /// The ends of the periods of these epochs, in some of which the conversation was closed.
    fn ends(epochs: &[i64], closes: &[(i64, i64)]) -> Vec<Option<Time>> {
        let assignments = epochs.iter().map(|epoch| assignment(*epoch, None)).collect();
        let closed_at = closes.iter().map(|(epoch, at)| (*epoch, Time(*at))).collect();
        let views = AssignmentView::history(assignments, &closed_at, &ActorNames::default());
        views.into_iter().map(|view| view.ended_at).collect()
    }

    #[test]
    fn a8_a_period_ends_when_the_next_epoch_begins_and_a_gap_is_left_open() {
        let ends = ends(&[1, 2, 4], &[]);
        assert_eq!(ends, [Some(Time(20)), None, None]);
    }

    #[test]
    fn a8_a_period_ends_with_the_close_and_not_with_the_reopening() {
        assert_eq!(ends(&[1, 2, 3], &[(2, 25)]), [Some(Time(20)), Some(Time(25)), None]);
        assert_eq!(ends(&[1, 2], &[(2, 25)]), [Some(Time(20)), Some(Time(25))], "it is closed");
    }

    #[test]
    fn an_agent_has_the_name_of_the_roster_an_administrator_that_of_their_token_and_others_have_none() {
        let (ada, eve) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let names = ActorNames {
            agents: BTreeMap::from([(ada, "Ada".to_owned())]),
            administrators: BTreeMap::from([("root".to_owned(), "Olga".to_owned())]),
        };
        let name_of = |actor| AssignmentView::new(assignment(1, Some(actor)), &names).owner.unwrap().name;
        let administrators = ["root", "other"].map(|subject| Actor::Admin(subject.into()));
        assert_eq!(administrators.map(name_of), ["Olga", ""]);
        let others = [Actor::agent(ada), Actor::agent(eve), Actor::Bot(ada.to_string()), Actor::Agent("root".into())];
        assert_eq!(others.map(name_of), ["Ada", "", "", ""]);
    }
}
