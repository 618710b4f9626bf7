//! The rows of the table, each in a file.

pub mod p1;
pub mod p1a;
pub mod p1b;
pub mod p2;
pub mod p3;
pub mod p4;

use std::time::Duration;

use crate::report::Round;

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Value and limit are measured so often, in turn.
    pub rounds: usize,
    /// Each time so long.
    pub length: Duration,
    /// Before that, unmeasured, so long.
    pub warm_up: Duration,
}

/// Tells that a round is done.
fn done(row: &str, number: usize, round: &Round) {
    let more: Vec<String> = round.more.iter().map(|(name, figure)| format!("{name} {figure:.3}")).collect();
    println!("{row} round {}: {:.3} beside {:.3}  {}", number + 1, round.value, round.limit, more.join(", "));
}
