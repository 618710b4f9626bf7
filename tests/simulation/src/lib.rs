//! Deterministic simulation of the protocols between the services: takeover, timeout, hand-off, close, outbox and relay (row R19).
//!
//! All four services run in one process on SQLite files, with their own domain, commands, consumers, workers and stores. Nothing
//! runs by itself: a scheduler with a seed makes one [turn](schedule) after the other, which is a call of a person, the delivery of an
//! event to a consumer, a turn of a relay or of a worker, a move of the clock, or a kill. Events wait, come late, come again, and
//! lose their acknowledgements. The clock stands still between turns, so the same seed gives the same trace. At the end
//! everything is drained, and the checker of `frontdesk-chaos` compares what callers saw with what the databases hold.
//!
//! What happens inside a turn, and how PostgreSQL interleaves transactions, is not simulated: the chaos tests have that.
//!
//! Start reading at [`run_seed`], then [`schedule`].

mod commands;
mod fault;
mod process;
pub mod schedule;
mod template;
mod world;

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use fault::Fault;
pub use schedule::{Run, run_seed};
pub use template::Template;

/// An error of the simulation itself.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs these seeds, on all processors, until `max` of them have violated a rule. Returns those, in the order of their seeds.
pub fn find_violations(
    template: &Template,
    seeds: Range<u64>,
    fault: Option<Fault>,
    max: usize,
) -> Result<Vec<Run>, Failure> {
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let found_so_far = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || -> Result<(), Failure> {
        while found_so_far().len() < max {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let run = run_seed(template, seed, fault)?;
            if !run.violations.is_empty() {
                found_so_far().push(run);
            }
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|run: &Run| run.seed);
    Ok(found)
}
