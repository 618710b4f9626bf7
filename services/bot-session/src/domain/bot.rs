//! A bot of the account (rule B2).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Program, Reminder};

/// Inactivity timeout of a bot that is created without one: 30 minutes (rule B2).
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a visitor may stay silent before the chat is closed. None: the timeout is off.
pub(crate) type InactivityTimeout = Option<Duration>;

/// A bot without its program, as lists have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BotSummary {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) timeout: InactivityTimeout,
    /// Number of the bot's events; also its etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    /// When it was last changed.
    pub(crate) updated_at: Time,
    /// When it was deleted. None: it is not.
    pub(crate) deleted_at: Option<Time>,
}

/// A bot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bot {
    pub(crate) summary: BotSummary,
    pub(crate) program: Program,
    /// Its message before the timeout. None: it has none.
    pub(crate) reminder: Option<Reminder>,
}

/// New values of a bot. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct BotChange {
    pub(crate) name: Option<String>,
    pub(crate) timeout: Option<InactivityTimeout>,
    pub(crate) program: Option<Program>,
    pub(crate) reminder: Option<Option<Reminder>>,
}

/// The bot was edited after the caller read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EtagMismatch;

impl BotSummary {
    /// Returns a value that changes with every change of the bot.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }
}

impl Bot {
    /// Edits the bot. Returns false when it has the requested content already, whatever the etag: a repeat of an edit that
    /// took effect succeeds. An empty `etag` edits the bot unconditionally.
    pub(crate) fn update(&mut self, change: BotChange, etag: &str, now: Time) -> Result<bool, EtagMismatch> {
        let mut edited = self.clone();
        if let Some(name) = change.name {
            edited.summary.name = name;
        }
        if let Some(timeout) = change.timeout {
            edited.summary.timeout = timeout;
        }
        if let Some(program) = change.program {
            edited.program = program;
        }
        if let Some(reminder) = change.reminder {
            edited.reminder = reminder;
        }
        if edited == *self {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.summary.etag() {
            return Err(EtagMismatch);
        }
        *self = edited;
        self.record_change(now);
        Ok(true)
    }

    /// Deletes the bot. Returns false when it was deleted before.
    pub(crate) fn delete(&mut self, now: Time) -> bool {
        if self.summary.deleted_at.is_some() {
            return false;
        }
        self.summary.deleted_at = Some(now);
        self.record_change(now);
        true
    }

    /// Undoes a deletion. Returns false when the bot is not deleted.
    pub(crate) fn undelete(&mut self, now: Time) -> bool {
        if self.summary.deleted_at.take().is_none() {
            return false;
        }
        self.record_change(now);
        true
    }

    /// Gives the bot the version after `version`, which another service has of it already.
    pub(crate) fn overtake(&mut self, version: i64, now: Time) {
        self.summary.version = self.summary.version.max(version);
        self.record_change(now);
    }

    fn record_change(&mut self, now: Time) {
        self.summary.version += 1;
        self.summary.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Flow;

    fn bot() -> Bot {
        let summary = BotSummary {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            name: "Robo".into(),
            timeout: Some(DEFAULT_TIMEOUT),
            version: 1,
            created_at: Time(0),
            updated_at: Time(0),
            deleted_at: None,
        };
        Bot { summary, program: Program::Flow(Flow::default()), reminder: None }
    }

    #[test]
    fn c12_an_edit_that_changes_nothing_succeeds_whatever_its_etag() {
        let mut bot = bot();
        assert_eq!(bot.update(BotChange::default(), "", Time(1)), Ok(false));
        let rename = BotChange { name: Some("Eve".into()), ..BotChange::default() };
        assert_eq!(bot.update(rename.clone(), "1", Time(2)), Ok(true));
        for etag in ["", "1", "2"] {
            assert_eq!(bot.update(rename.clone(), etag, Time(3)), Ok(false));
        }
        assert_eq!((bot.summary.etag().as_str(), bot.summary.updated_at), ("2", Time(2)));
        let rename = BotChange { name: Some("Bob".into()), ..BotChange::default() };
        assert_eq!(bot.update(rename, "1", Time(4)), Err(EtagMismatch));
        assert_eq!((bot.summary.name.as_str(), bot.summary.version), ("Eve", 2));
    }

    #[test]
    fn b2_a_timeout_is_kept_set_or_switched_off() {
        let mut bot = bot();
        assert_eq!(bot.update(BotChange { timeout: Some(None), ..BotChange::default() }, "", Time(1)), Ok(true));
        assert_eq!(bot.summary.timeout, None);
        assert_eq!(bot.update(BotChange::default(), "", Time(2)), Ok(false));
        assert_eq!(bot.summary.timeout, None);
    }

    #[test]
    fn c12_a_deletion_and_its_undo_take_effect_once() {
        let mut bot = bot();
        assert!(!bot.undelete(Time(1)));
        assert!(bot.delete(Time(2)) && !bot.delete(Time(3)));
        assert_eq!((bot.summary.deleted_at, bot.summary.version), (Some(Time(2)), 2));
        assert!(bot.undelete(Time(4)) && !bot.undelete(Time(5)));
        assert_eq!((bot.summary.deleted_at, bot.summary.updated_at, bot.summary.version), (None, Time(4), 3));
    }
}
