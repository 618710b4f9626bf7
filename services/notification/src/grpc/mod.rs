//! The gRPC services: open the request, call, convert the answer.

mod convert;
mod deliveries;
mod senders;
mod transcripts;

pub(crate) use deliveries::Deliveries;
pub(crate) use senders::Senders;
pub(crate) use transcripts::Transcripts;
