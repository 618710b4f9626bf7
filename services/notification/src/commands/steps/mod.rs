//! Steps that several commands and queries share.

mod check_mail_limits;
mod gather_transcript;
mod save_delivery;
mod unverified_limit;

pub(crate) use check_mail_limits::check_mail_limits;
pub(crate) use gather_transcript::{TranscriptData, TranscriptQuery, gather_transcript};
pub(crate) use save_delivery::save_delivery;
pub(crate) use unverified_limit::unverified_limit_reached;
