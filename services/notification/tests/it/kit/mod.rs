//! TEMPORARY: what the shared kit does not export yet.
#![allow(dead_code, unused_imports, missing_docs)]
mod database;
mod service;

pub use database::TestDatabase;
pub use frontdesk_testkit::{
    BearerToken, EventQueue, FakeServices, Mode, new_id, reason, request_id, servers, settled, wait_for, wait_until,
};
pub use service::{Calls, ServiceUnderTest, event};
