//! A bot of the account (rule B2).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Flow;

/// Inactivity timeout of a bot that is created without one: 30 minutes (rule B2).
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a visitor may stay silent before the chat is closed. None: the timeout is off.
pub(crate) type InactivityTimeout = Option<Duration>;

/// A bot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bot {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) timeout: InactivityTimeout,
    pub(crate) flow: Flow,
    pub(crate) deleted: bool,
    /// Number of the bot's events; also its etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
}

/// New values of a bot. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct BotChange {
    pub(crate) name: Option<String>,
    pub(crate) timeout: Option<InactivityTimeout>,
    pub(crate) flow: Option<Flow>,
}

/// Why an edit of a bot is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BotRejection {
    /// The bot was deleted.
    Deleted,
    /// The bot was edited after the caller read it.
    EtagMismatch,
}

impl Bot {
    /// Returns a value that changes with every edit.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the bot; an empty `etag` edits it unconditionally. Returns whether anything changed.
    pub(crate) fn update(&mut self, change: BotChange, etag: &str) -> Result<bool, BotRejection> {
        if self.deleted {
            return Err(BotRejection::Deleted);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(BotRejection::EtagMismatch);
        }
        let before = self.clone();
        self.name = change.name.unwrap_or_else(|| before.name.clone());
        self.timeout = change.timeout.unwrap_or(before.timeout);
        self.flow = change.flow.unwrap_or_else(|| before.flow.clone());
        let changed = *self != before;
        self.version += i64::from(changed);
        Ok(changed)
    }

    /// Deletes the bot. Returns false when it was deleted before.
    pub(crate) fn delete(&mut self) -> bool {
        let changed = !std::mem::replace(&mut self.deleted, true);
        self.version += i64::from(changed);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot() -> Bot {
        Bot {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            name: "Robo".into(),
            timeout: Some(DEFAULT_TIMEOUT),
            flow: Flow::default(),
            deleted: false,
            version: 1,
            created_at: Time(0),
        }
    }

    #[test]
    fn b2_an_edit_that_changes_nothing_keeps_the_etag() {
        let mut bot = bot();
        assert_eq!(bot.update(BotChange::default(), ""), Ok(false));
        let rename = BotChange { name: Some("Eve".into()), ..BotChange::default() };
        assert_eq!(bot.update(rename.clone(), "1"), Ok(true));
        assert_eq!(bot.update(rename.clone(), "2"), Ok(false));
        assert_eq!(bot.update(rename, "1"), Err(BotRejection::EtagMismatch));
        assert_eq!(bot.etag(), "2");
    }

    #[test]
    fn b2_a_timeout_is_kept_set_or_switched_off() {
        let mut bot = bot();
        assert_eq!(bot.update(BotChange { timeout: Some(None), ..BotChange::default() }, ""), Ok(true));
        assert_eq!(bot.timeout, None);
        assert_eq!(bot.update(BotChange::default(), ""), Ok(false));
        assert_eq!(bot.timeout, None);
    }

    #[test]
    fn b2_a_deleted_bot_is_not_edited_and_deleting_it_again_changes_nothing() {
        let mut bot = bot();
        assert!(bot.delete() && !bot.delete());
        assert_eq!(bot.update(BotChange::default(), ""), Err(BotRejection::Deleted));
    }
}
