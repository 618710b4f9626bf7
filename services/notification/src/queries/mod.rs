//! What a caller can ask, one file each. Commands ask [`automatic_limit_reached()`] and [`gather_transcript()`] too.

mod automatic_limit_reached;
mod explain_transcript;
mod gather_transcript;
mod get_delivery;
mod get_notification_preferences;
mod get_sender;
mod list_deliveries;
mod list_senders;
mod list_transcript_decisions;
mod preview_transcript;

pub(crate) use automatic_limit_reached::automatic_limit_reached;
pub(crate) use explain_transcript::explain_transcript;
pub(crate) use gather_transcript::{TranscriptData, TranscriptQuery, gather_transcript};
pub(crate) use get_delivery::get_delivery;
pub(crate) use get_notification_preferences::get_notification_preferences;
pub(crate) use get_sender::get_sender;
pub(crate) use list_deliveries::list_deliveries;
pub(crate) use list_senders::list_senders;
pub(crate) use list_transcript_decisions::list_transcript_decisions;
pub(crate) use preview_transcript::{Preview, PreviewTranscript, TranscriptPart, preview_transcript};
