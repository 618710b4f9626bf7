//! What a caller can ask, one file each. Commands ask [`reason_to_skip()`] and [`gather_transcript()`] too.

mod explain_transcript;
mod find_recipients;
mod foresee_decision;
mod gather_transcript;
mod get_delivery;
mod get_notification_preferences;
mod get_sender;
mod get_suppression;
mod list_deliveries;
mod list_senders;
mod list_suppressions;
mod list_transcript_decisions;
mod preview_transcript;
mod reason_to_skip;

pub(crate) use explain_transcript::{ExplainTranscript, explain_transcript};
pub(crate) use find_recipients::find_recipients;
pub(crate) use foresee_decision::foresee_decision;
pub(crate) use gather_transcript::{TranscriptData, TranscriptQuery, gather_transcript};
pub(crate) use get_delivery::get_delivery;
pub(crate) use get_notification_preferences::get_notification_preferences;
pub(crate) use get_sender::get_sender;
pub(crate) use get_suppression::get_suppression;
pub(crate) use list_deliveries::list_deliveries;
pub(crate) use list_senders::list_senders;
pub(crate) use list_suppressions::list_suppressions;
pub(crate) use list_transcript_decisions::list_transcript_decisions;
pub(crate) use preview_transcript::{Preview, PreviewTranscript, TranscriptPart, preview_transcript};
pub(crate) use reason_to_skip::reason_to_skip;
