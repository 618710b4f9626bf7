//! The slots for attempts: endpoints that answer quickly have slots of their own, so that receivers that answer slowly, or not, delay no others.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::webhook_turns::take_turns;

/// Duration from which an attempt is slow.
const QUICK: Duration = Duration::from_millis(250);
/// Number of slots of slow endpoints for each slot of quick ones: an attempt that waits for its answer costs little.
const SLOW_FACTOR: usize = 4;
/// Maximum number of attempts in progress to an endpoint whose last attempt failed.
const MAX_WHILE_FAILING: usize = 1;

/// An endpoint that has due deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueEndpoint {
    pub(crate) id: Uuid,
    /// Whether its last attempt failed.
    pub(crate) is_failing: bool,
}

/// The attempts in progress, and which endpoints are slow.
#[derive(Debug)]
pub(crate) struct WebhookSlots {
    /// Number of slots of quick endpoints.
    max: usize,
    max_per_endpoint: usize,
    /// The endpoint of each delivery that is attempted, and when the attempt began.
    attempts: HashMap<Uuid, (Uuid, Instant)>,
    /// The endpoints whose last attempt failed or was slow.
    slow: HashSet<Uuid>,
    /// Whose turn was the last of the quick ones, and of the slow ones.
    last_turns: (Option<Uuid>, Option<Uuid>),
}

impl WebhookSlots {
    /// Returns free slots: `max` for quick endpoints, and some times as many for slow ones. An endpoint gets up to `max_per_endpoint`.
    pub(crate) fn new(max: usize, max_per_endpoint: usize) -> Self {
        Self { max, max_per_endpoint, attempts: HashMap::new(), slow: HashSet::new(), last_turns: (None, None) }
    }

    /// Returns whether quick endpoints have no free slot.
    pub(crate) fn is_full(&self) -> bool {
        self.free_of_quick() == 0
    }

    /// Returns whether no endpoint has a free slot.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_full() && self.free_of_slow() == 0
    }

    /// Returns the deliveries that are attempted.
    pub(crate) fn deliveries(&self) -> HashSet<Uuid> {
        self.attempts.keys().copied().collect()
    }

    /// Notes which endpoints are slow: their attempts leave the slots of the quick ones.
    pub(crate) fn note_slow(&mut self, now: Instant) {
        let waits_long = |(endpoint, began): &(Uuid, Instant)| is_slow(*began, now).then_some(*endpoint);
        self.slow.extend(self.attempts.values().filter_map(waits_long));
    }

    /// Gives out free slots to endpoints in turn. Returns those that get some, each with their number. A slow endpoint has one, and more only in the
    /// first half of the slots of slow ones, so that those of one account leave room for those of others.
    pub(crate) fn give_out(&mut self, due: &[DueEndpoint]) -> BTreeMap<Uuid, usize> {
        self.slow.extend(due.iter().filter(|endpoint| endpoint.is_failing).map(|endpoint| endpoint.id));
        let (slow, quick): (Vec<Uuid>, Vec<Uuid>) =
            due.iter().map(|endpoint| endpoint.id).partition(|endpoint| self.slow.contains(endpoint));
        let rooms = self.rooms(due);
        let room = |endpoint: Uuid| rooms.get(&endpoint).copied().unwrap_or(0);
        let (mut places, last_quick) = take_turns(&quick, self.last_turns.0, self.free_of_quick(), room);

        let busy: HashSet<Uuid> = self.attempts.values().map(|(endpoint, _)| *endpoint).collect();
        let first_room = |endpoint: Uuid| usize::from(!busy.contains(&endpoint));
        let (first, last_slow) = take_turns(&slow, self.last_turns.1, self.free_of_slow(), first_room);
        let given: usize = first.values().sum();
        let shared = (self.max_of_slow() / 2).saturating_sub(self.count_of_slow() + given);
        let more_room = |endpoint: Uuid| room(endpoint).saturating_sub(first.get(&endpoint).copied().unwrap_or(0));
        let (more, last_slow) = take_turns(&slow, last_slow, shared, more_room);
        for (endpoint, count) in first.into_iter().chain(more) {
            *places.entry(endpoint).or_default() += count;
        }
        self.last_turns = (last_quick, last_slow);
        places
    }

    /// Takes a slot for a delivery.
    pub(crate) fn begin(&mut self, delivery: Uuid, endpoint: Uuid, now: Instant) {
        self.attempts.insert(delivery, (endpoint, now));
    }

    /// Frees the slot of a delivery. `confirmed_after`: how long the receiver took to confirm it. None: it did not.
    pub(crate) fn end(&mut self, delivery: Uuid, confirmed_after: Option<Duration>, now: Instant) {
        let Some((endpoint, _)) = self.attempts.remove(&delivery) else { return };
        let waits_long = self.attempts.values().any(|(to, began)| *to == endpoint && is_slow(*began, now));
        if confirmed_after.is_none_or(|after| after >= QUICK) || waits_long {
            self.slow.insert(endpoint);
        } else {
            self.slow.remove(&endpoint);
        }
    }

    /// How many further attempts each endpoint may have in progress.
    fn rooms(&self, due: &[DueEndpoint]) -> HashMap<Uuid, usize> {
        let mut running: HashMap<Uuid, usize> = HashMap::new();
        for (endpoint, _) in self.attempts.values() {
            *running.entry(*endpoint).or_default() += 1;
        }
        let max = |endpoint: &DueEndpoint| if endpoint.is_failing { MAX_WHILE_FAILING } else { self.max_per_endpoint };
        let room = |endpoint: &DueEndpoint| max(endpoint).saturating_sub(*running.get(&endpoint.id).unwrap_or(&0));
        due.iter().map(|endpoint| (endpoint.id, room(endpoint))).collect()
    }

    fn max_of_slow(&self) -> usize {
        self.max.saturating_mul(SLOW_FACTOR)
    }

    fn free_of_quick(&self) -> usize {
        self.max.saturating_sub(self.attempts.len() - self.count_of_slow())
    }

    fn free_of_slow(&self) -> usize {
        self.max_of_slow().saturating_sub(self.count_of_slow())
    }

    fn count_of_slow(&self) -> usize {
        self.attempts.values().filter(|(endpoint, _)| self.slow.contains(endpoint)).count()
    }
}

fn is_slow(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) >= QUICK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn due(numbers: impl IntoIterator<Item = u128>) -> Vec<DueEndpoint> {
        numbers.into_iter().map(|number| DueEndpoint { id: id(number), is_failing: false }).collect()
    }

    /// Begins an attempt for each place. Returns their deliveries, by the endpoints.
    fn begin(slots: &mut WebhookSlots, places: &BTreeMap<Uuid, usize>, now: Instant) -> Vec<Uuid> {
        let mut begun = Vec::new();
        for (endpoint, count) in places {
            for _ in 0..*count {
                let delivery = id(1_000 + slots.attempts.len() as u128);
                slots.begin(delivery, *endpoint, now);
                begun.push(delivery);
            }
        }
        begun
    }

    #[test]
    fn t8_slow_endpoints_leave_the_slots_of_the_quick_ones() {
        let (mut slots, mut now) = (WebhookSlots::new(4, 4), Instant::now());
        // Eighteen endpoints of which none answers, and one more.
        for _ in 0..18 {
            let places = slots.give_out(&due(1..=18));
            begin(&mut slots, &places, now);
            now += QUICK;
            slots.note_slow(now);
        }
        assert!(!slots.is_full(), "{slots:?}");
        assert_eq!(slots.give_out(&due(1..=19)), BTreeMap::from([(id(19), 4)]));
    }

    #[test]
    fn t8_slow_endpoints_have_one_slot_each_while_few_are_free() {
        let (mut slots, now) = (WebhookSlots::new(2, 2), Instant::now());
        slots.slow.extend((1..=9).map(id));
        let places = slots.give_out(&due(1..=2));
        assert_eq!(places, BTreeMap::from([(id(1), 2), (id(2), 2)]));
        begin(&mut slots, &places, now);
        let places = slots.give_out(&due(1..=9));
        assert_eq!(places, (3..=6).map(|number| (id(number), 1)).collect::<BTreeMap<_, _>>());
        begin(&mut slots, &places, now);
        assert!(slots.give_out(&due(1..=9)).is_empty() && !slots.is_full() && !slots.is_exhausted());
    }

    #[test]
    fn t8_an_endpoint_that_fails_has_one_attempt_until_one_is_confirmed() {
        let (mut slots, now) = (WebhookSlots::new(4, 4), Instant::now());
        let failing = [DueEndpoint { id: id(1), is_failing: true }];
        let places = slots.give_out(&failing);
        assert_eq!(places, BTreeMap::from([(id(1), 1)]));
        let begun = begin(&mut slots, &places, now);
        assert!(slots.give_out(&failing).is_empty());
        slots.end(begun[0], None, now);
        assert!(slots.slow.contains(&id(1)));
        let begun = begin(&mut slots, &places, now);
        slots.end(begun[0], Some(QUICK / 2), now);
        assert!(slots.slow.is_empty());
        assert_eq!(slots.give_out(&due([1])), BTreeMap::from([(id(1), 4)]));
    }

    #[test]
    fn t8_an_endpoint_is_quick_again_when_no_attempt_is_slow() {
        let (mut slots, now) = (WebhookSlots::new(4, 4), Instant::now());
        let begun = begin(&mut slots, &BTreeMap::from([(id(1), 2)]), now);
        let later = now + QUICK;
        slots.note_slow(later);
        slots.begin(id(1), id(1), later);
        slots.end(id(1), Some(Duration::ZERO), later);
        assert!(slots.slow.contains(&id(1)), "two are still in progress");
        slots.end(begun[0], Some(QUICK), later);
        slots.end(begun[1], Some(QUICK), later);
        assert!(slots.slow.contains(&id(1)));
        slots.begin(id(1), id(1), later);
        slots.end(id(1), Some(Duration::ZERO), later);
        assert!(slots.slow.is_empty() && slots.deliveries().is_empty());
    }
}
