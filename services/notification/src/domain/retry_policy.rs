//! When and how often a delivery is retried (rule T8).

use std::time::Duration;

/// Factors by which the first pause grows with each failure.
const GROWTH: [u32; 7] = [1, 4, 16, 60, 120, 240, 480];

/// Pauses between attempts, and their number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// Pause after the first failed attempt.
    pub(crate) first_pause: Duration,
    /// Number of attempts after which a delivery has failed.
    pub(crate) max_attempts: i32,
    /// How long after its creation a delivery waits for faults of the settings to be repaired.
    pub(crate) max_repair_time: Duration,
    /// Minimum size of a transcript in a mail (bytes): with less, it would not hold any message.
    pub(crate) min_transcript_bytes: usize,
}

/// Returns the pause after this number of failures, if the first is `first`.
pub(super) fn growing_pause(first: Duration, failures: i32) -> Duration {
    let step = usize::try_from(failures.max(1) - 1).unwrap_or(0).min(GROWTH.len() - 1);
    first * GROWTH[step]
}

impl RetryPolicy {
    /// Returns the pause after this number of failures: 30 s, 2 min, 8 min, 30 min, 1 h, 2 h, then 4 h, when the first
    /// is 30 s.
    pub(crate) fn pause_after(&self, failures: i32) -> Duration {
        growing_pause(self.first_pause, failures)
    }

    /// Returns the pause after this number of attempts, of which the last one met a fault of the settings: 30 min at most, when
    /// the first is 30 s, so that mails go out soon after the repair.
    pub(crate) fn pause_until_repaired(&self, attempts: i32) -> Duration {
        // Number of failures after which the pause is 60 times the first one.
        const LAST_STEP: i32 = 4;
        self.pause_after(attempts.min(LAST_STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_pauses_grow_from_half_a_minute_to_four_hours() {
        let policy = RetryPolicy {
            first_pause: Duration::from_secs(30),
            max_attempts: 12,
            max_repair_time: Duration::from_secs(7 * 24 * 3600),
            min_transcript_bytes: 0,
        };
        let seconds: Vec<u64> = (1..=9).map(|failures| policy.pause_after(failures).as_secs()).collect();
        assert_eq!(seconds, [30, 120, 480, 1800, 3600, 7200, 14400, 14400, 14400]);
        assert_eq!(policy.pause_until_repaired(100).as_secs(), 1800);
    }
}
