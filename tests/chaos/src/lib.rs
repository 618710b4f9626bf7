//! Fault injection for a whole installation of Frontdesk, and a checker of what is left. Processes are killed, paused and
//! restarted, connections are reset at chosen moments of the protocol, calls are cancelled and clocks are set wrong while a
//! workload runs. What the callers saw is recorded as a [`history`], what the databases, the broker and the mail server hold
//! at the end as a [`final_state`]; the [`checker`] compares the two, rule by rule. The [`rows`] are the rows of the scorecard.
//!
//! A seed reproduces the schedule: which faults, on what, when, for how long, and what callers send. It does not reproduce how
//! the operating system interleaves the processes.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test program that stops on the first error of its own, and prints its progress"
)]

pub mod checker;
pub mod cluster;
pub mod driver;
pub mod faults;
pub mod final_state;
pub mod history;
pub mod load_generator;
pub mod mail_sink;
pub mod proxy;
pub mod quiescence;
pub mod readers;
pub mod report;
pub mod rows;
pub mod workload;
