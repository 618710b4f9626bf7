//! Which events of an aggregate have arrived, so that endpoints that want them in order get them so: the bus promises no order.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_clock::Time;

/// How long the first event of an aggregate that arrives waits for earlier ones, which may be handled at the same time. Versions before it may
/// also be older than the endpoint.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The events of an aggregate that have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventOrder {
    /// The version up to which every event has arrived. 0: none has.
    pub(crate) version: i64,
    /// Later versions that have arrived.
    pub(crate) ahead: BTreeSet<i64>,
    /// Since when they wait for the one before them.
    pub(crate) waits_since: Option<Time>,
    /// Whether some of them wait no longer.
    pub(crate) is_released: bool,
}

impl EventOrder {
    /// Adds an event. Returns how long it waits for earlier ones. `max_wait`: how long a missing event is waited for.
    pub(crate) fn arrive(&mut self, version: i64, max_wait: Duration, now: Time) -> Duration {
        if self.version == 0 && self.ahead.is_empty() {
            self.version = version;
            return if version == 1 { Duration::ZERO } else { FIRST_WAIT };
        }
        if let (Some(since), Some(first)) = (self.waits_since, self.ahead.first().copied())
            && now.since(since) >= max_wait
        {
            // What is missing is not waited for any more.
            self.version = self.version.max(first - 1);
            self.is_released = true;
        }
        if version > self.version {
            self.ahead.insert(version);
        }
        let before = self.version;
        while self.ahead.remove(&(self.version + 1)) {
            self.version += 1;
        }
        self.is_released |= self.version > version;
        self.waits_since = match self.ahead.is_empty() {
            true => None,
            false if self.version > before => Some(now),
            false => self.waits_since.or(Some(now)),
        };
        if version <= self.version { Duration::ZERO } else { max_wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);
    const MAX: Duration = Duration::from_secs(120);

    fn arrive(order: &mut EventOrder, versions: &[i64]) -> Vec<u64> {
        versions.iter().map(|version| order.arrive(*version, MAX, NOW).as_secs()).collect()
    }

    #[test]
    fn i17_an_event_waits_for_those_before_it_and_they_for_none() {
        let mut order = EventOrder::default();
        assert_eq!(arrive(&mut order, &[1, 2, 5, 4]), [0, 0, 120, 120]);
        assert!(!order.is_released);
        assert_eq!(arrive(&mut order, &[3, 6]), [0, 0]);
        assert!(order.is_released && order.ahead.is_empty() && order.waits_since.is_none(), "{order:?}");
        assert_eq!(order.version, 6);
    }

    #[test]
    fn i17_an_aggregate_that_is_older_than_the_endpoint_begins_with_what_arrives_first() {
        let mut order = EventOrder::default();
        assert_eq!(arrive(&mut order, &[7, 6, 8, 7]), [5, 0, 0, 0]);
        assert_eq!(order.version, 8);
    }

    #[test]
    fn i17_a_missing_event_is_not_waited_for_longer_than_the_maximum() {
        let mut order = EventOrder::default();
        arrive(&mut order, &[1, 3]);
        assert_eq!(order.arrive(4, MAX, NOW.plus(MAX / 2)), MAX);
        assert_eq!(order.arrive(5, MAX, NOW.plus(MAX)), Duration::ZERO);
        assert_eq!((order.version, order.ahead.len()), (5, 0));
        assert_eq!(order.arrive(2, MAX, NOW.plus(MAX)), Duration::ZERO, "it comes late");
    }

    #[test]
    fn i17_another_gap_has_a_wait_of_its_own() {
        let mut order = EventOrder::default();
        arrive(&mut order, &[1, 3, 5]);
        assert_eq!(order.arrive(2, MAX, NOW.plus(MAX / 2)), Duration::ZERO);
        assert_eq!(order.arrive(6, MAX, NOW.plus(MAX)), MAX, "4 is waited for since 2 arrived");
    }
}
