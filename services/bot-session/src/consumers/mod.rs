//! What the service does when it hears of something.

mod lost;
mod started;
mod visitor_spoke;

pub(crate) use lost::Lost;
pub(crate) use started::Started;
pub(crate) use visitor_spoke::VisitorSpoke;

use frontdesk_bus::Outcome;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::commands::TurnError;

/// The event's account.
fn account(event: &Event) -> Result<AccountId, String> {
    id(&event.account_id).map(AccountId)
}

fn id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "an id in the event is not a UUID".to_owned())
}

fn outcome(turns: Result<(), TurnError>) -> Outcome {
    match turns {
        Ok(()) => Outcome::Ack,
        Err(TurnError::Hopeless(why)) => Outcome::DeadLetter(why),
        Err(error) => Outcome::Retry(error.to_string()),
    }
}
