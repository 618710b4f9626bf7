//! The test kit: one service on either mode with its neighbours replaced, and what tests of every kind share.
//!
//! It depends on no service, so that a service can use it as a dev-dependency. Whole suites are in `frontdesk-tests`.

mod callers;
mod conversations;
mod database;
mod event_streams;
mod fake;
mod mode;
mod raw;
pub mod servers;
mod service;
mod settled;

pub use callers::{BearerToken, metadata, reason, request_id, wait_for, wait_until};
pub use conversations::{FakeConversation, FakeConversations, refused};
pub use database::TestDatabase;
pub use event_streams::EventStreams;
pub use fake::FakeServices;
pub use frontdesk_clock::testing::new_id;
pub use mode::Mode;
pub use raw::{RawCodec, call_raw};
pub use service::{Calls, ServiceUnderTest, event};
pub use settled::{EventQueue, settled};
