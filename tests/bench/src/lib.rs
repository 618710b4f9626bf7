//! Calls with requests that are encoded beforehand, for the benchmark and for the load generator of the chaos tests.

#![allow(clippy::unwrap_used, reason = "an error of the test program itself ends the run")]

pub mod messages;
pub mod raw;
