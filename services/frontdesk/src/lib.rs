//! The suite: all services of Frontdesk in one process, as `frontdesk serve all` runs them.
//!
//! [`Suite::open`] builds everything top to bottom from [`Settings`]; [`Suite::serve`] runs it on a listener until it is told
//! to stop. Tests do the same on port 0.

mod dev;
mod settings;
mod suite;

pub use settings::{Databases, Settings};
pub use suite::{Suite, SuiteError};
