//! Whose deliveries are sent next: accounts take turns, and within each account the domains of its recipients (rule T8). A domain has a
//! maximum, so that mails to others never wait for one that answers slowly.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use frontdesk_db::AccountId;

/// The deliveries of one account to one domain, which wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MailQueue {
    pub(crate) account: AccountId,
    /// See [`recipient_domain`].
    pub(crate) domain: String,
}

/// Returns the domain of an address in lower case. Empty: there is no address yet.
pub(crate) fn recipient_domain(address: &str) -> String {
    address.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_lowercase())
}

/// The queues with due deliveries, in the order of their turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    accounts: VecDeque<(AccountId, VecDeque<String>)>,
}

impl Turns {
    /// Sets which queues have due deliveries. Those that had some keep their turns, and new ones come after them.
    pub(crate) fn set_due(&mut self, due: Vec<MailQueue>) {
        let mut new: BTreeMap<AccountId, BTreeSet<String>> = BTreeMap::new();
        for queue in due {
            new.entry(queue.account).or_default().insert(queue.domain);
        }
        self.accounts.retain_mut(|(account, domains)| {
            let Some(mut due) = new.remove(account) else { return false };
            domains.retain(|domain| due.remove(domain));
            domains.extend(due);
            true
        });
        self.accounts.extend(new.into_iter().map(|(account, domains)| (account, domains.into_iter().collect())));
    }

    /// Removes a queue that has no due deliveries any more.
    pub(crate) fn remove(&mut self, queue: &MailQueue) {
        self.accounts.retain_mut(|(account, domains)| {
            if *account == queue.account {
                domains.retain(|domain| *domain != queue.domain);
            }
            !domains.is_empty()
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Gives out up to `free` places in turn. Returns the queues that get some, each with their number. `room`: how many further deliveries
    /// to a domain may be in progress.
    pub(crate) fn take(&mut self, free: usize, room: impl Fn(&str) -> usize) -> Vec<(MailQueue, usize)> {
        let mut places: BTreeMap<MailQueue, usize> = BTreeMap::new();
        let mut taken: HashMap<String, usize> = HashMap::new();
        let (mut left, mut passed_over) = (free, 0);
        while left > 0 && passed_over < self.accounts.len() {
            let Some((account, mut domains)) = self.accounts.pop_front() else { break };
            let has_room = |domain: &String| taken.get(domain).copied().unwrap_or(0) < room(domain);
            let next = domains.iter().position(has_room).and_then(|place| domains.remove(place));
            match next {
                Some(domain) => {
                    (left, passed_over) = (left - 1, 0);
                    *taken.entry(domain.clone()).or_default() += 1;
                    *places.entry(MailQueue { account, domain: domain.clone() }).or_default() += 1;
                    domains.push_back(domain);
                }
                None => passed_over += 1,
            }
            self.accounts.push_back((account, domains));
        }
        places.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn queue(account: u128, domain: &str) -> MailQueue {
        MailQueue { account: AccountId(Uuid::from_u128(account)), domain: domain.into() }
    }

    fn turns(queues: &[(u128, &str)]) -> Turns {
        let mut turns = Turns::default();
        turns.set_due(queues.iter().map(|(account, domain)| queue(*account, domain)).collect());
        turns
    }

    #[test]
    fn t8_the_domain_of_a_recipient_is_in_lower_case() {
        assert_eq!(recipient_domain("Vera@Visitor.Example"), "visitor.example");
        assert_eq!(recipient_domain("\"a@b\"@c.example"), "c.example");
        assert_eq!(recipient_domain(""), "");
    }

    #[test]
    fn t8_accounts_have_equal_shares_whatever_the_number_of_their_domains() {
        let mut turns = turns(&[(1, "a"), (1, "b"), (1, "c"), (2, "a")]);
        let places = turns.take(6, |_| usize::MAX);
        assert_eq!(places, [(queue(1, "a"), 1), (queue(1, "b"), 1), (queue(1, "c"), 1), (queue(2, "a"), 3)]);
    }

    #[test]
    fn t8_turns_go_on_where_they_ended() {
        let mut turns = turns(&[(1, "a"), (1, "b"), (2, "a"), (3, "a")]);
        let next = |turns: &mut Turns| turns.take(1, |_| usize::MAX).remove(0).0;
        let order: Vec<MailQueue> = (0..6).map(|_| next(&mut turns)).collect();
        assert_eq!(order, [queue(1, "a"), queue(2, "a"), queue(3, "a"), queue(1, "b"), queue(2, "a"), queue(3, "a")]);
        // What is found again keeps its turn, and what is new comes last.
        turns.set_due([queue(0, "new"), queue(1, "a"), queue(1, "b"), queue(2, "a")].into());
        let order: Vec<MailQueue> = (0..3).map(|_| next(&mut turns)).collect();
        assert_eq!(order, [queue(1, "a"), queue(2, "a"), queue(0, "new")]);
    }

    #[test]
    fn t8_a_domain_gets_no_more_than_its_room_from_all_accounts_together() {
        let mut turns = turns(&[(1, "slow"), (2, "slow"), (3, "fast")]);
        let room = |domain: &str| if domain == "slow" { 3 } else { usize::MAX };
        let places = turns.take(16, room);
        let slow: usize = places.iter().filter(|(queue, _)| queue.domain == "slow").map(|(_, places)| places).sum();
        assert_eq!((slow, places.iter().map(|(_, places)| places).sum::<usize>()), (3, 16));
        assert_eq!(turns.take(16, |domain| if domain == "slow" { 0 } else { 1 }), [(queue(3, "fast"), 1)]);
        assert!(turns.take(16, |_| 0).is_empty());
    }

    #[test]
    fn t8_a_queue_without_due_deliveries_has_no_turn() {
        let mut turns = turns(&[(1, "a"), (1, "b"), (2, "a")]);
        turns.remove(&queue(1, "a"));
        turns.remove(&queue(2, "a"));
        assert_eq!(turns.take(4, |_| usize::MAX), [(queue(1, "b"), 4)]);
        turns.remove(&queue(1, "b"));
        assert!(turns.is_empty());
        assert!(turns.take(4, |_| usize::MAX).is_empty());
    }
}
