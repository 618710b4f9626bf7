//! Reactions to the events of other services, one file each.

mod decide_transcripts;

pub(crate) use decide_transcripts::DecideTranscripts;
