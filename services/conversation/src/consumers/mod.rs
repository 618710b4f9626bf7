//! What other services tell that this one must know.

mod agents;
mod bots;
mod sent_transcripts;

pub(crate) use agents::{Agents, known_agent};
pub(crate) use bots::{Bots, known_bot};
pub(crate) use sent_transcripts::SentTranscripts;

use frontdesk_bus::Outcome;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;
use tonic::{Code, Status};

/// The event's account.
fn account(event: &Event) -> Result<AccountId, Outcome> {
    event.account_id.parse().map(AccountId).map_err(|_| Outcome::DeadLetter("the event's account is not a UUID".into()))
}

/// The other service did not answer with the thing: a refusal will not change, anything else may.
fn unanswered(status: &Status) -> Outcome {
    match status.code() {
        Code::NotFound | Code::InvalidArgument | Code::Unimplemented => Outcome::DeadLetter(status.to_string()),
        _ => Outcome::Retry(status.to_string()),
    }
}
