//! Which events of the outbox are published, by their positions.
//!
//! On PostgreSQL positions become visible in another order than they are assigned: a transaction may end after one that got later
//! positions. Positions that a read did not see, below others that it saw, are a gap. A gap is read again with each batch until every
//! transaction that could fill it has ended; what is missing then was rolled back. The statement that appends events takes the number of
//! its transaction before it takes positions, so that number is lower than the one that a read takes after it has seen later positions.

use serde_json::json;

/// Which events are published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    /// Every event up to this position is published, except for those in the gaps.
    pub(crate) published_to: i64,
    /// Disjoint and in order.
    gaps: Vec<Gap>,
}

/// Positions that may still become visible, or that were not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    first: i64,
    last: i64,
    /// Only transactions with lower numbers can fill it. None: no read of this process has looked at it.
    filled_before: Option<i64>,
}

/// The transactions around a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    /// Every transaction with a lower number had ended before the read.
    pub(crate) xmin: i64,
    /// A number that was given after the snapshot of the read. Not `pg_snapshot_xmax`: that is the number after the last transaction that
    /// has ended, and those in progress may have higher ones.
    pub(crate) number: i64,
}

impl Snapshot {
    /// No transaction is in progress: that of SQLite, where one transaction writes at a time.
    pub(crate) const IDLE: Self = Self { xmin: i64::MAX, number: i64::MAX };
}

impl Positions {
    /// Reads what [`Self::gaps_json`] returned.
    pub(crate) fn new(published_to: i64, gaps: &str) -> Result<Self, serde_json::Error> {
        let gaps: Vec<(i64, i64)> = serde_json::from_str(gaps)?;
        let gaps = gaps.into_iter().map(|(first, last)| Gap { first, last, filled_before: None }).collect();
        Ok(Self { published_to, gaps })
    }

    /// The gaps as an array of arrays with the first and the last position of each.
    pub(crate) fn gaps_json(&self) -> String {
        json!(self.gaps.iter().map(|gap| (gap.first, gap.last)).collect::<Vec<_>>()).to_string()
    }

    /// Every event up to this position is published, and none becomes visible there any more.
    pub(crate) fn settled_to(&self) -> i64 {
        self.gaps.first().map_or(self.published_to, |gap| gap.first - 1)
    }

    /// The first and the last position of each range in which events may wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (i64, i64)> {
        let after = (self.published_to.saturating_add(1), i64::MAX);
        self.gaps.iter().map(|gap| (gap.first, gap.last)).chain([after])
    }

    /// The positions when the events are published that a read of [`Self::waiting`] found: at these positions, in order, by this snapshot.
    /// `is_cut`: the read ended at the last of them.
    pub(crate) fn after(&self, found: &[i64], snapshot: Snapshot, is_cut: bool) -> Self {
        let read_to = if is_cut { found.last().copied().unwrap_or(0) } else { i64::MAX };
        let published_to = self.published_to.max(found.last().copied().unwrap_or(0));
        let new = Gap { first: self.published_to + 1, last: published_to, filled_before: None };
        let mut gaps = Vec::new();
        for gap in self.gaps.iter().copied().chain((new.first <= new.last).then_some(new)) {
            let [from, to] = [gap.first, gap.last + 1].map(|end| found.partition_point(|position| *position < end));
            let mut first = gap.first;
            for last in found[from..to].iter().map(|position| position - 1).chain([gap.last]) {
                if first <= last {
                    gaps.push(Gap { first, last, ..gap });
                }
                first = last + 2;
            }
        }
        for gap in gaps.iter_mut().filter(|gap| gap.last <= read_to) {
            gap.filled_before.get_or_insert(snapshot.number);
        }
        let is_dead =
            |gap: &Gap| gap.last <= read_to && gap.filled_before.is_some_and(|number| number <= snapshot.xmin);
        gaps.retain(|gap| !is_dead(gap));
        Self { published_to, gaps }
    }

    /// The same without some events, which are not published.
    pub(crate) fn without(mut self, unpublished: impl Iterator<Item = i64>) -> Self {
        self.gaps.extend(unpublished.map(|at| Gap { first: at, last: at, filled_before: None }));
        self.gaps.sort_by_key(|gap| gap.first);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE_IN_PROGRESS: Snapshot = Snapshot::IDLE;

    fn waiting(positions: &Positions) -> Vec<(i64, i64)> {
        positions.waiting().collect()
    }

    #[test]
    fn i17_positions_without_a_gap_are_settled() {
        let positions = Positions::default().after(&[1, 2, 3], NONE_IN_PROGRESS, false);
        assert_eq!((positions.settled_to(), positions.gaps_json().as_str()), (3, "[]"));
        assert_eq!(waiting(&positions), [(4, i64::MAX)]);
        assert_eq!(positions.after(&[], NONE_IN_PROGRESS, false), positions);
    }

    #[test]
    fn i17_a_gap_waits_for_the_transactions_that_can_fill_it() {
        let found = Positions::default().after(&[1, 4, 5], Snapshot { xmin: 50, number: 60 }, false);
        assert_eq!((found.settled_to(), waiting(&found)), (1, vec![(2, 3), (6, i64::MAX)]));

        let later = found.after(&[7], Snapshot { xmin: 59, number: 65 }, false);
        assert_eq!(waiting(&later), [(2, 3), (6, 6), (8, i64::MAX)], "one of them may be in progress");
        let ended = later.after(&[], Snapshot { xmin: 60, number: 66 }, false);
        assert_eq!((ended.settled_to(), waiting(&ended)), (5, vec![(6, 6), (8, i64::MAX)]), "the other gap is newer");
        assert_eq!(ended.after(&[], Snapshot { xmin: 66, number: 67 }, false).settled_to(), 7);
    }

    #[test]
    fn i17_an_event_that_becomes_visible_in_a_gap_splits_it() {
        let in_progress = Snapshot { xmin: 50, number: 60 };
        let found = Positions::default().after(&[6], in_progress, false);
        let filled = found.after(&[1, 3], in_progress, false);
        assert_eq!((filled.settled_to(), waiting(&filled)), (1, vec![(2, 2), (4, 5), (7, i64::MAX)]));
        let filled = filled.after(&[2, 4, 5], in_progress, false);
        assert_eq!((filled.settled_to(), waiting(&filled)), (6, vec![(7, i64::MAX)]));
    }

    #[test]
    fn i17_a_gap_behind_the_end_of_a_read_was_not_looked_at() {
        let positions = Positions::new(9, "[[3,3],[8,8]]").unwrap();
        let cut = positions.after(&[3], NONE_IN_PROGRESS, true);
        assert_eq!(waiting(&cut), [(8, 8), (10, i64::MAX)]);
        assert_eq!(waiting(&cut.after(&[], NONE_IN_PROGRESS, false)), [(10, i64::MAX)]);
    }

    #[test]
    fn i17_events_that_were_not_sent_are_read_again() {
        let read = Positions::default().after(&[1, 2, 3, 4], NONE_IN_PROGRESS, false);
        let sent = read.without([2, 4].into_iter());
        assert_eq!((sent.settled_to(), waiting(&sent)), (1, vec![(2, 2), (4, 4), (5, i64::MAX)]));
        assert_eq!(Positions::new(sent.published_to, &sent.gaps_json()).unwrap().settled_to(), 1);
        let again = sent.after(&[2, 4], NONE_IN_PROGRESS, false);
        assert_eq!((again.settled_to(), waiting(&again)), (4, vec![(5, i64::MAX)]));
    }
}
