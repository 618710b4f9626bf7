//! A bot, as this service knows it: bots belong to the bot-session service.

use std::time::Duration;

use frontdesk_db::AccountId;
use uuid::Uuid;

/// The local copy of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bot {
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Inactivity timeout of its sessions. None: they never time out.
    pub(crate) timeout: Option<Duration>,
    pub(crate) deleted: bool,
    /// Version at its own service; the newer one wins.
    pub(crate) version: i64,
}
