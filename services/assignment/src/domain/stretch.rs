//! The stretches of a conversation's ownership (rule A8).

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_clock::Time;
use frontdesk_proto::assignment::v1::{AssignmentCause, OwnerKind};
use uuid::Uuid;

/// Somebody who owns a conversation, or changes its owner. Kind unspecified: nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) kind: OwnerKind,
    /// Empty for nobody and the system.
    pub(crate) id: String,
}

impl Party {
    pub(crate) fn nobody() -> Self {
        Self { kind: OwnerKind::Unspecified, id: String::new() }
    }

    pub(crate) fn system() -> Self {
        Self { kind: OwnerKind::System, id: String::new() }
    }

    pub(crate) fn agent(id: Uuid) -> Self {
        Self { kind: OwnerKind::Agent, id: id.to_string() }
    }

    pub(crate) fn bot(id: impl Into<String>) -> Self {
        Self { kind: OwnerKind::Bot, id: id.into() }
    }

    /// Who acts, as the history names them.
    pub(crate) fn of(actor: &Actor) -> Self {
        match actor.kind {
            CallerKind::Agent => Self { kind: OwnerKind::Agent, id: actor.id.clone() },
            CallerKind::Bot => Self::bot(actor.id.as_str()),
            CallerKind::Admin | CallerKind::Service | CallerKind::Visitor => Self::system(),
        }
    }
}

/// One owner from one epoch of a conversation to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    pub(crate) owner: Party,
    pub(crate) by: Party,
    pub(crate) cause: AssignmentCause,
    pub(crate) started_at: Time,
}

/// Each stretch with its end: when the next epoch began. None: it goes on, or the next one is not known yet. `stretches`
/// are of one conversation, by epoch.
pub(crate) fn ends(stretches: Vec<Stretch>) -> Vec<(Stretch, Option<Time>)> {
    let next: Vec<_> = stretches.iter().skip(1).map(|next| Some((next.epoch, next.started_at))).chain([None]).collect();
    stretches
        .into_iter()
        .zip(next)
        .map(|(stretch, next)| {
            let end = next.filter(|(epoch, _)| *epoch == stretch.epoch + 1).map(|(_, started_at)| started_at);
            (stretch, end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_a_stretch_ends_when_the_next_epoch_begins_and_a_gap_is_not_guessed() {
        let stretch = |epoch, started_at| Stretch {
            conversation: Uuid::from_u128(1),
            epoch,
            owner: Party::nobody(),
            by: Party::system(),
            cause: AssignmentCause::ByHand,
            started_at: Time(started_at),
        };
        let ends: Vec<_> =
            ends(vec![stretch(1, 10), stretch(2, 20), stretch(4, 40)]).into_iter().map(|(_, end)| end).collect();
        assert_eq!(ends, [Some(Time(20)), None, None]);
    }
}
