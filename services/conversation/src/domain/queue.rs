//! The queues of routing, as this service knows them: they belong to the assignment service.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Conversation;

/// How a conversation waits for an agent, as the assignment service published it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuedConversation {
    pub(crate) conversation: Uuid,
    pub(crate) account: AccountId,
    /// The ownership epoch in which it waits or waited.
    pub(crate) epoch: i64,
    pub(crate) waiting: bool,
    /// The teams for which it waits.
    pub(crate) teams: BTreeSet<Uuid>,
    /// Number of the event; the newer one wins.
    pub(crate) version: i64,
}

impl QueuedConversation {
    /// Whether the conversation still waits. A change of owner and a close are in its row before the event about the queue arrives.
    pub(crate) fn waits(&self, conversation: &Conversation) -> bool {
        self.waiting && self.epoch == conversation.epoch && conversation.owner.is_none() && conversation.is_open()
    }
}

/// The place of a chat in its queue, as its visitor is shown it. The default: it does not wait any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AboutPlace {
    /// 1: the next one. 0: it does not wait.
    pub(crate) place: i64,
    /// None: it is not known.
    pub(crate) wait: Option<Duration>,
}

impl AboutPlace {
    /// A place and an expected wait as they are shown, rounded up: a place above 10 to a multiple of 5, above 100 of 50; a wait to whole
    /// minutes, above 10 minutes to a multiple of 5.
    pub(crate) fn new(place: i64, wait: Option<Duration>) -> Self {
        let step = match place {
            ..=10 => 1,
            11..=100 => 5,
            _ => 50,
        };
        Self { place: (place.max(0) + step - 1) / step * step, wait: wait.map(about_wait) }
    }
}

fn about_wait(wait: Duration) -> Duration {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    let step = if minutes > 10 { 5 } else { 1 };
    Duration::from_secs(60 * minutes.next_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a6_a_visitor_is_shown_about_which_place_and_how_long() {
        let place = |place: i64| AboutPlace::new(place, None).place;
        assert_eq!([0, 1, 10, 11, 15, 16, 100, 101, 151].map(place), [0, 1, 10, 15, 15, 20, 100, 150, 200]);
        let minutes = |seconds: u64| {
            let wait = AboutPlace::new(1, Some(Duration::from_secs(seconds))).wait;
            wait.map(|wait| wait.as_secs() / 60)
        };
        let rounded = [0, 59, 60, 61, 600, 601, 900, 901].map(|seconds| minutes(seconds).unwrap());
        assert_eq!(rounded, [1, 1, 1, 2, 10, 15, 15, 20]);
        assert_eq!(AboutPlace::new(0, None), AboutPlace::default());
    }
}
