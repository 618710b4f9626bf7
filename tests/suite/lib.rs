//! Whole suites for tests: all services in this process or as a process that a test can kill, accounts on them, and the
//! calls that most tests begin with.
//!
//! Start reading at [`TestSuite`] and [`Account`]. What needs no whole suite is in `frontdesk-testkit`.

mod account;
pub mod fixture;
mod metrics;
mod process;
pub mod production;
mod test_suite;
mod upload;
mod watches;

pub use account::{Account, As, Chat, code_in, epoch_of};
pub use frontdesk_testkit::{Mode, call_raw, new_id, reason, request_id, servers, settled, wait_for, wait_until};
pub use metrics::{DocumentedMetric, documented_metrics};
pub use process::{Process, binary};
pub use test_suite::{TestSuite, use_test_servers};
pub use upload::{download, upload};
pub use watches::{next_chat_entry, next_entry};
