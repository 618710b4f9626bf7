//! What a caller can do, one file each.

mod attempt_delivery;
mod cancel_delivery;
mod check_address_code;
mod claim_deliveries;
mod compose_delivery;
mod create_sender;
mod decide_transcript;
mod delete_sender;
mod forget_mails;
mod mail_address_code;
mod renew_claim;
mod retry_delivery;
mod send_transcript;
mod set_fallback_sender;
mod settle_interrupted;
mod steps;
mod update_sender;
mod verify_sender;

pub(crate) use attempt_delivery::{Attempt, begin_attempt, record_outcome};
pub(crate) use cancel_delivery::cancel_delivery;
pub(crate) use check_address_code::check_address_code;
pub(crate) use claim_deliveries::claim_deliveries;
pub(crate) use compose_delivery::compose_delivery;
pub(crate) use create_sender::{CreateSender, create_sender};
pub(crate) use decide_transcript::decide_transcript;
pub(crate) use delete_sender::delete_sender;
pub(crate) use forget_mails::forget_mails;
pub(crate) use mail_address_code::mail_address_code;
pub(crate) use renew_claim::renew_claim;
pub(crate) use retry_delivery::retry_delivery;
pub(crate) use send_transcript::{SendTranscript, send_transcript};
pub(crate) use set_fallback_sender::set_fallback_sender;
pub(crate) use settle_interrupted::settle_interrupted;
pub(crate) use update_sender::{UpdateSender, update_sender};
pub(crate) use verify_sender::verify_sender;
