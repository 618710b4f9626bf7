//! The rows of the table, one file each.

pub mod p1_post_message;
pub mod p1a_single_call_latency;
pub mod p1b_outbox_relay;
pub mod p2_post_message_on_sqlite;
pub mod p3_fan_out;
pub mod p4_latency_at_fixed_rate;
pub mod p5_timeouts;
pub mod p6_mails;
pub mod q1_inbox_page;
pub mod q1_search;
pub mod q2_routing;
pub mod q3_idle_watches;
pub mod q3_sessions;
pub mod q4_files;
pub mod q4_growth;
pub mod q_thread;

use std::time::Duration;

use crate::report::Round;

/// Number and length of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of rounds; Frontdesk and the baseline are measured in each.
    pub rounds: usize,
    /// Length of a measurement.
    pub length: Duration,
    /// Length of the warm-up before the first round.
    pub warm_up: Duration,
}

impl Plan {
    /// A plan with at least one round of at least one second; the warm-up has half the length.
    pub fn new(rounds: usize, seconds: u64) -> Self {
        let length = Duration::from_secs(seconds.max(1));
        Self { rounds: rounds.max(1), length, warm_up: (length / 2).max(Duration::from_secs(1)) }
    }
}

/// Prints the figures of a round.
fn print_round(row: &str, number: usize, round: &Round) {
    let more: Vec<String> = round.more.iter().map(|(name, figure)| format!("{name} {figure:.3}")).collect();
    println!("{row} round {}: {:.3}, baseline {:.3}  {}", number + 1, round.value, round.baseline, more.join(", "));
}
