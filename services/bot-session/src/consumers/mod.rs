//! Reactions to the events of other services, one file each. The position in the events is stored under the name of each
//! consumer, so the names never change.

mod contact_erasures;
mod conversation_released;
mod conversation_started;
mod opening_hours;
mod visitor_message;

pub(crate) use contact_erasures::ContactErasures;
pub(crate) use conversation_released::ConversationReleased;
pub(crate) use conversation_started::ConversationStarted;
pub(crate) use opening_hours::OpeningHoursCopies;
pub(crate) use visitor_message::VisitorMessage;

use frontdesk_bus::Outcome;
use sea_orm::DbErr;

use crate::commands::TurnError;

/// Returns the outcome of an event whose turns were taken.
fn turns_outcome(turns: Result<(), TurnError>) -> Outcome {
    match turns {
        Ok(()) => Outcome::Ack,
        Err(TurnError::Permanent(reason)) => Outcome::DeadLetter(reason),
        Err(TurnError::Unavailable(reason)) => Outcome::Unavailable(reason),
        Err(TurnError::Busy(reason)) => Outcome::Locked(reason),
        Err(TurnError::Retry(reason)) => Outcome::Retry(reason),
        Err(TurnError::Db(error)) => database_outcome(&error),
    }
}

/// Returns the outcome of an event whose effect the database did not store.
fn database_outcome(error: &DbErr) -> Outcome {
    match frontdesk_db::is_transient(error) {
        true => Outcome::Unavailable(error.to_string()),
        false => Outcome::Retry(error.to_string()),
    }
}
