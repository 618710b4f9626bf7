//! What the service does when it hears of something.

mod handed_off;
mod history;

pub(crate) use handed_off::HandedOff;
pub(crate) use history::History;

use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;

/// The event's account.
fn account(event: &Event) -> Result<AccountId, String> {
    event.account_id.parse().map(AccountId).map_err(|_| "the event's account is not a UUID".to_owned())
}
