//! The message to a visitor who waits outside of opening hours (rule A4).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::LocalizedText;

/// A visitor who gets the message.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) epoch: i64,
    /// The end of the closing: the message is posted once for it.
    pub(crate) until: Time,
    pub(crate) texts: Vec<LocalizedText>,
    /// Whether the conversation leaves routing after the message.
    pub(crate) leaves: bool,
}
