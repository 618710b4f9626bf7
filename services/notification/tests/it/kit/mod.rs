//! TEMPORARY copy of the shared kit.
#![allow(dead_code, unused_imports, missing_docs)]
mod callers;
mod database;
mod fake;
mod mode;
mod raw;
pub mod servers;
mod service;
mod settled;

pub use callers::{BearerToken, new_id, reason, request_id, wait_for, wait_until};
pub use database::TestDatabase;
pub use fake::FakeServices;
pub use mode::Mode;
pub use raw::RawCodec;
pub use service::{Calls, ServiceUnderTest, event};
pub use settled::{EventQueue, settled};
