//! The bot-session service as its callers know it: real servers, a real bus, and a conversation service that follows the
//! rules in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbiter;
mod bots;
mod floods;
mod sessions;
mod suite;
mod timeouts;
mod turns;
