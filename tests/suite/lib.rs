//! The test kit: whole suites in this process or as processes that can be killed, accounts on them, and the calls that
//! most tests begin with.

mod account;
mod process;
pub mod production;
pub mod servers;
mod suite;

pub use account::{Account, As, Callers, Chat, epoch_of, reason, request_id, wait_for};
pub use process::Process;
pub use suite::{Footing, TestSuite, on_servers};
