//! Events of other services that this one handles.

mod agents;
mod bots;
mod sent_transcripts;

pub(crate) use agents::Agents;
pub(crate) use bots::Bots;
pub(crate) use sent_transcripts::SentTranscripts;

use frontdesk_auth::AccountId;
use frontdesk_bus::Outcome;
use frontdesk_proto::event::v1::Event;
use tonic::{Code, Status};
use uuid::Uuid;

/// The event's account.
fn account_id(event: &Event) -> Result<AccountId, String> {
    Ok(AccountId(uuid("account_id", &event.account_id)?))
}

/// An id of the event.
fn uuid(field: &str, text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| format!("the event's {field} is not a UUID"))
}

/// The outcome when the owning service did not answer: a refusal is final, anything else may change.
fn not_answered(status: &Status) -> Outcome {
    match status.code() {
        Code::NotFound | Code::InvalidArgument | Code::Unimplemented => Outcome::Hopeless(status.to_string()),
        _ => Outcome::Later(status.to_string()),
    }
}
