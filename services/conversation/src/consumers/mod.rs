//! Reactions to the events of other services, one file each.

mod agents;
mod bots;
mod confirmed_erasures;
mod confirmed_states;
mod opening_hours;
mod queues;
mod routing_policies;
mod sent_transcripts;
mod teams;

pub(crate) use agents::Agents;
pub(crate) use bots::Bots;
pub(crate) use confirmed_erasures::ConfirmedErasures;
pub(crate) use confirmed_states::ConfirmedStates;
pub(crate) use opening_hours::OpeningHoursCopies;
pub(crate) use queues::Queues;
pub(crate) use routing_policies::RoutingPolicies;
pub(crate) use sent_transcripts::SentTranscripts;
pub(crate) use teams::Teams;

use frontdesk_bus::Outcome;
use tonic::{Code, Status};

/// The outcome when the owning service did not answer: an error of the request is final, any other may pass, and an outage does.
fn not_answered(status: &Status) -> Outcome {
    match status.code() {
        Code::NotFound | Code::InvalidArgument | Code::Unimplemented => Outcome::DeadLetter(status.to_string()),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
            Outcome::Unavailable(status.to_string())
        }
        _ => Outcome::Retry(status.to_string()),
    }
}
