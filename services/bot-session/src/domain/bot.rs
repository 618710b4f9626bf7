//! A bot of the account (rule B2).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Flow;
use crate::error::BotSessionError;

/// What a bot's timeout is when nobody says (rule B2).
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a visitor may stay silent. None: for ever.
pub(crate) type Timeout = Option<Duration>;

/// A bot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bot {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) timeout: Timeout,
    pub(crate) flow: Flow,
    pub(crate) deleted: bool,
    /// Counts the bot's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
}

/// What an edit changes; None: as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct BotChange {
    pub(crate) name: Option<String>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) flow: Option<Flow>,
}

impl Bot {
    /// Changes with every edit.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the bot. False: it was already so.
    pub(crate) fn update(&mut self, change: BotChange, etag: &str) -> Result<bool, BotSessionError> {
        if self.deleted {
            return Err(BotSessionError::NotFound("bot"));
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(BotSessionError::EtagMismatch);
        }
        let before = self.clone();
        self.name = change.name.unwrap_or_else(|| before.name.clone());
        self.timeout = change.timeout.unwrap_or(before.timeout);
        self.flow = change.flow.unwrap_or_else(|| before.flow.clone());
        let changed = *self != before;
        self.version += i64::from(changed);
        Ok(changed)
    }

    /// Deletes the bot. False: it was already so.
    pub(crate) fn delete(&mut self) -> bool {
        let changed = !std::mem::replace(&mut self.deleted, true);
        self.version += i64::from(changed);
        changed
    }
}
