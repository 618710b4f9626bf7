//! The moves of the development clock (`AdvanceTime`), as the worker of timeouts sees them. In production there are none: what becomes
//! due during an outage is no move, and is decided as of now.

use std::time::{Duration, Instant};

use frontdesk_clock::Time;

/// How long a move counts as one (seconds): what it made due is settled meanwhile.
const MEMORY: Duration = Duration::from_secs(60);

/// The moves that were seen.
pub(crate) struct ClockMoves {
    /// How far the clock was moved in all.
    offset: Duration,
    /// When the first of the recent moves was seen, and how far the clock was moved since.
    recent: Option<(Instant, Duration)>,
}

impl ClockMoves {
    /// `offset`: how far the clock was moved before the worker started.
    pub(crate) fn new(offset: Duration) -> Self {
        Self { offset, recent: None }
    }

    /// Returns what the clock showed before its recent moves. `now`: what it shows; `offset`: how far it was moved in all, read after
    /// `now`. None: it was not moved lately.
    pub(crate) fn moved_from(&mut self, now: Time, offset: Duration) -> Option<Time> {
        self.recent = self.recent.filter(|(seen, _)| seen.elapsed() <= MEMORY);
        let by = offset.saturating_sub(self.offset);
        self.offset = offset;
        if !by.is_zero() {
            let (seen, before) = self.recent.unwrap_or_else(|| (Instant::now(), Duration::ZERO));
            self.recent = Some((seen, before + by));
        }
        let (seen, by) = self.recent?;
        Some(now.minus(by + seen.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_move_is_remembered_and_what_was_moved_before_the_start_is_none() {
        let hour = Duration::from_secs(3_600);
        let mut moves = ClockMoves::new(hour);
        let now = Time(0).plus(10 * hour);
        assert_eq!(moves.moved_from(now, hour), None);
        let about = |from: Option<Time>, hours: u32| {
            let from = from.unwrap();
            let expected = Time(0).plus(hours * hour);
            // The time since the first move counts.
            assert!(from <= expected && from > expected.minus(hour), "{from:?}");
        };
        about(moves.moved_from(now, 3 * hour), 8);
        about(moves.moved_from(now, 3 * hour), 8);
        about(moves.moved_from(now, 4 * hour), 7);
        let seen = Instant::now().checked_sub(2 * MEMORY);
        moves.recent = seen.map(|seen| (seen, hour));
        assert_eq!(moves.moved_from(now, 4 * hour), None);
    }
}
