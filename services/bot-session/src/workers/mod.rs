//! What the service does by itself.

mod timeouts;

pub(crate) use timeouts::watch_deadlines;
