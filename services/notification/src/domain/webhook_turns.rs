//! Which endpoints get the free slots: each in turn, so that one with many events, or one that answers slowly, delays no other.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

/// Gives out up to `free` slots, one after the other, to endpoints that have due deliveries; the turns begin after the endpoint `last`. `room`:
/// how many further deliveries an endpoint may have in progress. Returns the endpoints that get some, each with their number, and whose turn was the
/// last.
pub(super) fn take_turns(
    endpoints: &[Uuid],
    last: Option<Uuid>,
    free: usize,
    room: impl Fn(Uuid) -> usize,
) -> (BTreeMap<Uuid, usize>, Option<Uuid>) {
    let mut order: Vec<Uuid> = endpoints.to_vec();
    order.sort_unstable_by_key(|endpoint| (last.is_some_and(|last| *endpoint <= last), *endpoint));
    let mut turns: VecDeque<(Uuid, usize)> = order.into_iter().map(|endpoint| (endpoint, room(endpoint))).collect();
    let mut places: BTreeMap<Uuid, usize> = BTreeMap::new();
    let (mut last, mut left) = (last, free);
    while left > 0 {
        let Some((endpoint, room)) = turns.pop_front() else { break };
        if room == 0 {
            continue;
        }
        *places.entry(endpoint).or_default() += 1;
        (last, left) = (Some(endpoint), left - 1);
        turns.push_back((endpoint, room - 1));
    }
    (places, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>(numbers: [u128; N]) -> [Uuid; N] {
        numbers.map(Uuid::from_u128)
    }

    #[test]
    fn t8_endpoints_take_turns_and_go_on_where_they_ended() {
        let endpoints = ids([1, 2, 3]);
        let (first, last) = take_turns(&endpoints, None, 2, |_| 4);
        assert_eq!(first.into_keys().collect::<Vec<_>>(), ids([1, 2]));
        let (second, last) = take_turns(&endpoints, last, 2, |_| 4);
        assert_eq!(second.into_keys().collect::<Vec<_>>(), ids([1, 3]));
        assert_eq!(last, Some(Uuid::from_u128(1)));
    }

    #[test]
    fn t8_an_endpoint_gets_no_more_than_its_room() {
        let endpoints = ids([1, 2]);
        let (places, _) = take_turns(&endpoints, None, 9, |endpoint| if endpoint == endpoints[0] { 1 } else { 3 });
        assert_eq!(places.into_iter().collect::<Vec<_>>(), [(endpoints[0], 1), (endpoints[1], 3)]);
        assert!(take_turns(&endpoints, None, 9, |_| 0).0.is_empty());
    }
}
