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
}

impl RetryPolicy {
    /// Returns the pause after this number of failures: 30 s, 2 min, 8 min, 30 min, 1 h, 2 h, then 4 h, when the first
    /// is 30 s.
    pub(crate) fn pause_after(&self, failures: i32) -> Duration {
        let step = usize::try_from(failures.max(1) - 1).unwrap_or(0).min(GROWTH.len() - 1);
        self.first_pause * GROWTH[step]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_pauses_grow_from_half_a_minute_to_four_hours() {
        let policy = RetryPolicy { first_pause: Duration::from_secs(30), max_attempts: 12 };
        let seconds: Vec<u64> = (1..=9).map(|failures| policy.pause_after(failures).as_secs()).collect();
        assert_eq!(seconds, [30, 120, 480, 1800, 3600, 7200, 14400, 14400, 14400]);
    }
}
