//! What a caller can ask, one file each, and links to what is larger than an answer. Commands ask [`reason_to_skip()`],
//! [`gather_transcript()`] and [`render_sample()`] too.

mod explain_transcript;
mod find_language;
mod find_recipients;
mod foresee_decision;
mod gather_transcript;
mod get_delivery;
mod get_notification_preferences;
mod get_sender;
mod get_suppression;
mod get_transcript_template;
mod get_webhook_delivery;
mod get_webhook_endpoint;
mod list_account_rows;
mod list_deliveries;
mod list_senders;
mod list_suppressions;
mod list_transcript_decisions;
mod list_transcript_templates;
mod list_webhook_deliveries;
mod list_webhook_endpoints;
mod open_whole_transcript;
mod preview_transcript;
mod preview_transcript_template;
mod reason_to_skip;
mod render_ahead;
mod render_sample;
mod transcript_links;

pub(crate) use explain_transcript::{ExplainTranscript, explain_transcript};
pub(crate) use find_language::find_language;
pub(crate) use find_recipients::find_recipients;
pub(crate) use foresee_decision::foresee_decision;
pub(crate) use gather_transcript::{TranscriptData, TranscriptQuery, gather_transcript, open_transcript};
pub(crate) use get_delivery::get_delivery;
pub(crate) use get_notification_preferences::get_notification_preferences;
pub(crate) use get_sender::get_sender;
pub(crate) use get_suppression::get_suppression;
pub(crate) use get_transcript_template::get_transcript_template;
pub(crate) use get_webhook_delivery::get_webhook_delivery;
pub(crate) use get_webhook_endpoint::get_webhook_endpoint;
pub(crate) use list_account_rows::list_account_rows;
pub(crate) use list_deliveries::list_deliveries;
pub(crate) use list_senders::list_senders;
pub(crate) use list_suppressions::list_suppressions;
pub(crate) use list_transcript_decisions::list_transcript_decisions;
pub(crate) use list_transcript_templates::list_transcript_templates;
pub(crate) use list_webhook_deliveries::list_webhook_deliveries;
pub(crate) use list_webhook_endpoints::list_webhook_endpoints;
pub(crate) use open_whole_transcript::open_whole_transcript;
use preview_transcript::permit;
pub(crate) use preview_transcript::{
    Preview, PreviewTranscript, TranscriptPart, preview_linked_part, preview_transcript,
};
pub(crate) use preview_transcript_template::preview_transcript_template;
pub(crate) use reason_to_skip::reason_to_skip;
pub(crate) use render_sample::render_sample;
pub(crate) use transcript_links::{LinkedPreview, PREVIEWS_PATH, TRANSCRIPTS_PATH, TranscriptLinks};
