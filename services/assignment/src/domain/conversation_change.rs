//! What an event says of a conversation: its owner, its status, and whether it waits for an agent (rules A6, A7).

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{PeriodEnd, Route, Waiting};

/// What an event says of a conversation. Changes of one conversation have one result in any order: the higher epoch has its owner and its
/// route, the higher version of the conversation its status.
#[derive(Clone, Debug)]
pub(crate) struct ConversationChange {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    /// The version of the conversation.
    pub(crate) version: i64,
    /// None: the owner stays.
    pub(crate) owner: Option<NewOwner>,
    /// Whether the conversation is open from the event on. None: its status stays.
    pub(crate) open: Option<bool>,
    /// The period that the event ends. None: it closes no conversation, or does not say it.
    pub(crate) end: Option<PeriodEnd>,
    /// How the conversation is routed from the event on. None: that stays.
    pub(crate) route: Option<Route>,
    /// How the conversation waits for an agent from the event on. None: the event begins no wait.
    pub(crate) waiting: Option<Waiting>,
}

/// The owner of a conversation in the epoch that began.
#[derive(Clone, Debug)]
pub(crate) struct NewOwner {
    pub(crate) epoch: i64,
    /// None: no agent owns it.
    pub(crate) agent: Option<Uuid>,
    /// When the agent before gave it back. None: it did not become unassigned by that.
    pub(crate) given_back_at: Option<Time>,
    /// Whether routing gave it to the agent, at whom it had reserved a place.
    pub(crate) routed: bool,
}

impl ConversationChange {
    /// Returns the agent who owns the conversation by the event.
    pub(crate) fn agent(&self) -> Option<Uuid> {
        self.owner.as_ref()?.agent
    }

    /// Returns whether it closes the conversation.
    pub(crate) fn closes(&self) -> bool {
        self.open == Some(false)
    }

    /// Returns whether it changes the owner and nothing else.
    pub(crate) fn is_only_of_owner(&self) -> bool {
        self.owner.is_some() && self.open.is_none() && self.route.is_none() && self.waiting.is_none()
    }

    /// Returns whether it says nothing new where the owner of this epoch is recorded.
    pub(crate) fn is_known_at(&self, epoch: i64) -> bool {
        self.is_only_of_owner() && self.owner.as_ref().is_some_and(|owner| owner.epoch <= epoch)
    }

    /// Returns whether somebody may be able to take a conversation after it. An assignment by routing frees no place: the owner has
    /// the one that was reserved.
    pub(crate) fn asks_for_decision(&self) -> bool {
        !(self.is_only_of_owner() && self.owner.as_ref().is_some_and(|owner| owner.routed))
    }
}

/// Returns how conversations begin to wait by the changes: each by the one of the highest epoch.
pub(crate) fn newest_waits(changes: &[&ConversationChange]) -> BTreeMap<Uuid, Waiting> {
    let mut newest: BTreeMap<Uuid, Waiting> = BTreeMap::new();
    for waiting in changes.iter().filter_map(|change| change.waiting.as_ref()) {
        let known = newest.get(&waiting.conversation);
        if known.is_none_or(|known| known.epoch < waiting.epoch) {
            newest.insert(waiting.conversation, waiting.clone());
        }
    }
    newest
}

/// Returns the periods that the changes end, in the order of their accounts, conversations and epochs.
pub(crate) fn period_ends(changes: &[&ConversationChange]) -> Vec<(AccountId, PeriodEnd)> {
    let mut ends: Vec<_> = changes.iter().filter_map(|change| Some((change.account, change.end?))).collect();
    ends.sort_by_key(|(account, end)| (*account, end.conversation, end.epoch));
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: Uuid = Uuid::from_u128(7);

    fn change(owner: Option<NewOwner>, open: Option<bool>) -> ConversationChange {
        let account = AccountId(Uuid::from_u128(1));
        ConversationChange {
            account,
            conversation: CONVERSATION,
            version: 1,
            owner,
            open,
            end: None,
            route: None,
            waiting: None,
        }
    }

    fn owned(epoch: i64, routed: bool) -> Option<NewOwner> {
        Some(NewOwner { epoch, agent: Some(Uuid::from_u128(9)), given_back_at: None, routed })
    }

    #[test]
    fn a7_a_change_of_owner_is_known_from_its_epoch_on_and_a_change_of_status_never_is() {
        let changed = change(owned(3, false), None);
        assert_eq!([2, 3, 4].map(|epoch| changed.is_known_at(epoch)), [false, true, true]);
        assert!(!change(owned(3, false), Some(true)).is_known_at(4), "a reopening");
        assert!(!change(None, Some(false)).is_known_at(4), "a close");
    }

    #[test]
    fn a6_all_changes_but_assignments_by_routing_ask_for_a_decision() {
        let changes =
            [(owned(2, true), None), (owned(2, false), None), (None, Some(false)), (owned(2, true), Some(true))];
        let ask = changes.map(|(owner, open)| change(owner, open).asks_for_decision());
        assert_eq!(ask, [false, true, true, true]);
    }

    #[test]
    fn a6_a_conversation_waits_by_its_highest_epoch() {
        let waiting = |epoch| ConversationChange {
            waiting: Some(Waiting::new(CONVERSATION, epoch, Route::default(), Time(epoch))),
            ..change(None, None)
        };
        let changes = [2, 5, 3].map(waiting);
        let newest = newest_waits(&changes.iter().collect::<Vec<_>>());
        assert_eq!(newest.into_values().map(|waiting| waiting.epoch).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a8_periods_end_in_the_order_of_their_conversations_and_epochs() {
        let close = |conversation, epoch| {
            let end = PeriodEnd { conversation: Uuid::from_u128(conversation), epoch, closed_at: Time(1) };
            ConversationChange { end: Some(end), ..change(None, Some(false)) }
        };
        let changes = [close(2, 1), close(1, 3), close(1, 2), change(None, Some(false))];
        let ends = period_ends(&changes.iter().collect::<Vec<_>>());
        let order: Vec<_> = ends.into_iter().map(|(_, end)| (end.conversation.as_u128(), end.epoch)).collect();
        assert_eq!(order, [(1, 2), (1, 3), (2, 1)]);
    }
}
