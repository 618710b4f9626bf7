//! Torments a whole installation of Frontdesk and checks what is left of it: processes are killed, paused and started again,
//! connections cut at the worst moment, calls cancelled, clocks set wrong, while callers go on with their day. What the
//! callers saw is a [`history`], what is true at the end a [`state`]; the [`checker`] compares the two, rule by rule. The
//! [`rows`] are the figures of the scorecard.
//!
//! A seed repeats the schedule: which faults, on what, when, for how long, and what callers say. How the machine interleaves
//! all of it is not repeated.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a harness that cannot go on stops, and tells people what it sees"
)]

pub mod checker;
pub mod cluster;
pub mod crowd;
pub mod driver;
mod facts;
pub mod faults;
pub mod finals;
pub mod history;
pub mod proxy;
pub mod quiet;
pub mod report;
pub mod rows;
pub mod sink;
pub mod state;
pub mod workload;
