//! What follows from others' events: one file per consumer.

mod decide_transcripts;

pub(crate) use decide_transcripts::DecideTranscripts;
