//! Which events of an aggregate have arrived, so that endpoints that want them in order get them so: the bus promises no order.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_clock::Time;

use super::webhook_endpoint::MAX_CLOCK_DIFFERENCE;

/// How long the first event of an aggregate that arrives waits for earlier ones, which may be handled at the same time. Versions before it may
/// also be older than the endpoint. More than the broker takes to deliver an event again whose handler was killed: 6.5 s.
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// The events of an aggregate that have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventOrder {
    /// The version up to which every event has arrived. 0: none has.
    pub(crate) version: i64,
    /// Later versions that have arrived.
    pub(crate) ahead: BTreeSet<i64>,
    /// Since when they wait for the one before them.
    pub(crate) waits_since: Option<Time>,
    /// Whether some of them wait no longer.
    pub(crate) is_released: bool,
    /// When the last event arrived.
    pub(crate) updated_at: Time,
}

/// What an order is kept for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderTerms {
    /// Since when an endpoint wants the events of the account in order: what arrived before may not be noted.
    pub(crate) since: Time,
    /// How long a missing event is waited for.
    pub(crate) max_wait: Duration,
}

impl EventOrder {
    /// Returns the order of an aggregate of which no event has arrived.
    pub(crate) fn new(now: Time) -> Self {
        Self { version: 0, ahead: BTreeSet::new(), waits_since: None, is_released: false, updated_at: now }
    }

    /// Adds an event. Returns how long it waits for earlier ones. `created_at`: when the aggregate was created, if that is known.
    pub(crate) fn arrive(&mut self, version: i64, created_at: Option<Time>, terms: &OrderTerms, now: Time) -> Duration {
        if self.updated_at < terms.since && version > self.version + 1 {
            // What is between may have arrived while no endpoint wanted it.
            *self = Self::new(now);
        }
        self.updated_at = now;
        let is_older = created_at.is_none_or(|at| at < terms.since.plus(MAX_CLOCK_DIFFERENCE));
        if self.version == 0 && self.ahead.is_empty() && (version == 1 || is_older) {
            self.version = version;
            return if version == 1 { Duration::ZERO } else { FIRST_WAIT };
        }
        if let (Some(since), Some(first)) = (self.waits_since, self.ahead.first().copied())
            && now.since(since) >= terms.max_wait
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
        match self.waits_since {
            Some(since) if version > self.version => terms.max_wait.saturating_sub(now.since(since)),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);
    const MAX: Duration = Duration::from_secs(120);
    const SECOND: Duration = Duration::from_secs(1);
    const TERMS: OrderTerms = OrderTerms { since: Time(0), max_wait: MAX };

    fn arrive(order: &mut EventOrder, versions: &[i64]) -> Vec<u64> {
        versions.iter().map(|version| order.arrive(*version, None, &TERMS, NOW).as_secs()).collect()
    }

    #[test]
    fn i17_an_event_waits_for_those_before_it_and_they_for_none() {
        let mut order = EventOrder::new(NOW);
        assert_eq!(arrive(&mut order, &[1, 2, 5, 4]), [0, 0, 120, 120]);
        assert!(!order.is_released);
        assert_eq!(arrive(&mut order, &[3, 6]), [0, 0]);
        assert!(order.is_released && order.ahead.is_empty() && order.waits_since.is_none(), "{order:?}");
        assert_eq!(order.version, 6);
    }

    #[test]
    fn i17_an_aggregate_that_is_older_than_the_endpoint_begins_with_what_arrives_first() {
        let mut order = EventOrder::new(NOW);
        assert_eq!(arrive(&mut order, &[7, 6, 8, 7]), [15, 0, 0, 0]);
        assert_eq!(order.version, 8);
    }

    #[test]
    fn i17_an_aggregate_that_is_newer_than_the_endpoint_begins_with_its_first_event() {
        let mut order = EventOrder::new(NOW);
        assert_eq!(order.arrive(2, Some(NOW), &TERMS, NOW), MAX);
        assert_eq!(order.arrive(1, Some(NOW), &TERMS, NOW), Duration::ZERO);
        assert_eq!((order.version, order.is_released), (2, true));
    }

    #[test]
    fn i17_a_missing_event_is_not_waited_for_longer_than_the_maximum() {
        let mut order = EventOrder::new(NOW);
        arrive(&mut order, &[1, 3]);
        assert_eq!(order.arrive(4, None, &TERMS, NOW.plus(MAX - SECOND)), SECOND, "the rest of the wait");
        assert_eq!(order.arrive(5, None, &TERMS, NOW.plus(MAX)), Duration::ZERO);
        assert_eq!((order.version, order.ahead.len()), (5, 0));
        assert_eq!(order.arrive(2, None, &TERMS, NOW.plus(MAX)), Duration::ZERO, "it comes late");
    }

    #[test]
    fn i17_another_gap_has_a_wait_of_its_own() {
        let mut order = EventOrder::new(NOW);
        arrive(&mut order, &[1, 3, 5]);
        assert_eq!(order.arrive(2, None, &TERMS, NOW.plus(MAX / 2)), Duration::ZERO);
        assert_eq!(order.arrive(6, None, &TERMS, NOW.plus(MAX)), MAX / 2, "4 is waited for since 2 arrived");
    }

    #[test]
    fn i17_what_happened_while_no_endpoint_wanted_it_is_not_waited_for() {
        for (arrived, next) in [(&[1][..], 4), (&[1, 3], 6)] {
            let mut order = EventOrder::new(NOW);
            arrive(&mut order, arrived);
            let later = NOW.plus(MAX);
            let terms = OrderTerms { since: later, ..TERMS };
            assert_eq!(order.arrive(next, None, &terms, later), FIRST_WAIT, "{arrived:?}");
            assert_eq!(order.arrive(next + 2, None, &terms, later), MAX, "it is noted again what is missing");
            assert_eq!(order.arrive(next + 1, None, &terms, later), Duration::ZERO);
            assert_eq!(order.version, next + 2);
        }
    }

    #[test]
    fn i17_an_order_without_a_gap_goes_on_when_an_endpoint_is_enabled() {
        let mut order = EventOrder::new(NOW);
        arrive(&mut order, &[1, 2]);
        let terms = OrderTerms { since: NOW.plus(SECOND), ..TERMS };
        assert_eq!(order.arrive(3, None, &terms, NOW.plus(SECOND)), Duration::ZERO);
    }
}
