//! Background work of this service.

mod message_writer;

pub(crate) use message_writer::{MessageQueue, WriteError, WriteOutcome, WriteRequest};
