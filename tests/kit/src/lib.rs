//! The test kit: one service on either mode with its neighbours replaced, and what tests of every kind share.
//!
//! It depends on no service, so that a service can use it as a dev-dependency. Whole suites are in `frontdesk-tests`.

mod callers;
mod conversations;
mod fake;
mod mode;
mod raw;
pub mod servers;
mod settled;

pub use callers::{BearerToken, new_id, reason, request_id, wait_for, wait_until};
pub use conversations::{FakeConversation, FakeConversations, refused};
pub use fake::FakeServices;
pub use mode::Mode;
pub use raw::{RawCodec, call_raw};
pub use settled::{EventQueue, settled};
