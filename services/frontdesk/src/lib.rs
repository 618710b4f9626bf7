//! The suite: the services of Frontdesk, all in one process (`frontdesk serve all`) or each in processes of its own
//! (`frontdesk serve conversation`).
//!
//! [`Suite::open`] builds everything top to bottom from [`Settings`]; [`Suite::serve`] runs it on a listener until it is told
//! to stop. Tests do the same on port 0.

mod check;
mod dev;
mod error;
mod service;
mod settings;
mod suite;
mod suite_channel;

pub use error::SuiteError;
pub use service::Service;
pub use settings::{Databases, Development, Peers, Settings};
pub use suite::{Suite, connect, connect_databases};
pub use suite_channel::SuiteChannel;
