//! What the service does with the conversation service's events, one file each. Progress is kept under the name of each
//! consumer, so the names never change.

mod conversation_released;
mod conversation_started;
mod visitor_message;

pub(crate) use conversation_released::ConversationReleased;
pub(crate) use conversation_started::ConversationStarted;
pub(crate) use visitor_message::VisitorMessage;

use frontdesk_auth::AccountId;
use frontdesk_bus::Outcome;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::commands::TurnError;

fn account_id(event: &Event) -> Result<AccountId, String> {
    uuid("account_id", &event.account_id).map(AccountId)
}

fn uuid(field: &str, text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| format!("{field} is not a UUID"))
}

/// The outcome of an event whose turns were taken.
fn turns_outcome(turns: Result<(), TurnError>) -> Outcome {
    match turns {
        Ok(()) => Outcome::Done,
        Err(TurnError::Permanent(reason)) => Outcome::Hopeless(reason),
        Err(error) => Outcome::Later(error.to_string()),
    }
}
