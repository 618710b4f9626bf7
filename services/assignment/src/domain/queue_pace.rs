//! How fast a queue moves, and how long a conversation in it may have to wait (rule A6).
//!
//! The pace is the mean of the times that the last conversations were at the head of the queue: from when the one before them left it, or
//! they began to wait, to when routing gave them an agent. A conversation at place `n` is expected to wait `n` times that long. Time in which
//! nobody waited is not part of it.

use std::time::Duration;

use frontdesk_clock::Time;

/// Minimum time after which a conversation counts (seconds): one that gets an agent earlier met no queue.
const MIN_WAIT: Duration = Duration::from_secs(10);

/// Number of conversations after which an older one counts less and less.
const SAMPLES: u32 = 10;

/// Minimum number of conversations from which a wait is expected.
const MIN_SAMPLES: u32 = 3;

/// How long after a conversation left the queue its pace is known (hours). A conversation that was at the head for longer shows a pause, such
/// as a night, and no pace.
const KNOWN_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// The pace of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueuePace {
    /// Number of conversations in the mean: at most [`SAMPLES`].
    pub(crate) samples: u32,
    /// Mean time at the head of the queue.
    pub(crate) mean: Duration,
    /// When a conversation last left the queue for an agent.
    pub(crate) last_at: Time,
}

impl QueuePace {
    /// Returns whether a conversation that waits since this time shows how fast the queue moves.
    pub(crate) fn counts(since: Time, now: Time) -> bool {
        now.since(since) >= MIN_WAIT
    }

    /// Returns the pace after a conversation that waits since this time gets an agent.
    pub(crate) fn after(before: Option<Self>, since: Time, now: Time) -> Self {
        let before = before.filter(|before| before.is_known(now));
        let head_since = before.map_or(since, |before| before.last_at.max(since));
        let at_head = now.since(head_since);
        if at_head > KNOWN_FOR {
            return Self { samples: 0, mean: Duration::ZERO, last_at: now };
        }
        let (samples, mean) = before.map_or((0, Duration::ZERO), |before| (before.samples, before.mean));
        let samples = (samples + 1).min(SAMPLES);
        Self { samples, mean: (mean * (samples - 1) + at_head) / samples, last_at: now }
    }

    /// Returns how long a conversation at this place is expected to wait. None: too few conversations left the queue lately.
    pub(crate) fn expected_wait(&self, place: i64, now: Time) -> Option<Duration> {
        let is_evident = self.samples >= MIN_SAMPLES && self.is_known(now);
        is_evident.then(|| self.mean.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)))
    }

    fn is_known(&self, now: Time) -> bool {
        now.since(self.last_at) <= KNOWN_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: u64) -> Time {
        Time(7).plus(Duration::from_secs(seconds))
    }

    /// The pace after conversations that waited since and left at these seconds.
    fn pace(waits: &[(u64, u64)]) -> QueuePace {
        let after = |before, (since, left): &(u64, u64)| Some(QueuePace::after(before, second(*since), second(*left)));
        waits.iter().fold(None, after).unwrap()
    }

    #[test]
    fn a6_the_expected_wait_is_the_mean_time_at_the_head_for_each_place() {
        let three = pace(&[(0, 60), (1, 180), (2, 240)]);
        assert_eq!(three.mean, Duration::from_secs(80), "60, 120 and 60 seconds at the head");
        assert_eq!(three.expected_wait(1, second(240)), Some(Duration::from_secs(80)));
        assert_eq!(three.expected_wait(4, second(240)), Some(Duration::from_secs(320)));
    }

    #[test]
    fn a6_without_evidence_no_wait_is_expected() {
        assert_eq!(pace(&[(0, 60), (1, 180)]).expected_wait(1, second(180)), None, "two conversations");
        let three = pace(&[(0, 60), (1, 180), (2, 240)]);
        assert!(three.expected_wait(1, second(240 + 7_200)).is_some());
        assert_eq!(three.expected_wait(1, second(240 + 7_201)), None, "the evidence is too old");
        assert!(QueuePace::counts(second(0), second(10)) && !QueuePace::counts(second(1), second(10)));
    }

    #[test]
    fn a6_time_without_a_queue_and_pauses_are_no_part_of_the_pace() {
        let idle = pace(&[(0, 60), (3_000, 3_060), (6_000, 6_060)]);
        assert_eq!(idle.mean, Duration::from_secs(60), "between them nobody waited");
        let night = pace(&[(0, 60), (1, 180), (2, 240), (3, 40_000)]);
        assert_eq!((night.samples, night.last_at), (0, second(40_000)));
        let morning = QueuePace::after(Some(night), second(3), second(40_030));
        assert_eq!((morning.samples, morning.mean), (1, Duration::from_secs(30)));
    }

    #[test]
    fn a6_the_last_ten_conversations_outweigh_older_ones() {
        let mut left = 600;
        let mut pace = pace(&[(0, 600)]);
        for _ in 0..60 {
            left += 60;
            pace = QueuePace::after(Some(pace), second(0), second(left));
        }
        assert_eq!(pace.samples, SAMPLES);
        assert!((60..65).contains(&pace.mean.as_secs()), "{:?}", pace.mean);
    }
}
