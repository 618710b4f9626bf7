//! Consumers of other services' events: one file for each.

mod decide_transcripts;

pub(crate) use decide_transcripts::DecideTranscripts;
