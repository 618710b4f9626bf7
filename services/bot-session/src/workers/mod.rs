//! Background tasks of the service.

mod timeouts;

pub(crate) use timeouts::watch_timeouts;
