//! A channel: the website whose visitors chat, and what happens when they start.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Bot, Greeting};

/// What answers the visitor of a channel first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeter {
    /// The channel's bot.
    Bot,
    /// Routing assigns an agent.
    Routing,
    /// Nothing: the conversation waits unassigned.
    Nobody,
}

impl Greeter {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "BOT",
            Self::Routing => "ROUTING",
            Self::Nobody => "NOBODY",
        }
    }
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) website_url: String,
    pub(crate) greeter: Greeter,
    /// Set if and only if a bot greets.
    pub(crate) bot_id: Option<Uuid>,
    pub(crate) transcript_enabled: bool,
    /// None: the account's fallback sender.
    pub(crate) transcript_sender_id: Option<Uuid>,
    /// IANA name. Empty: unknown.
    pub(crate) time_zone: String,
    pub(crate) deleted: bool,
    pub(crate) created_at: Time,
    /// Number of the channel's events; also its etag.
    pub(crate) version: i64,
}

/// What an edit changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelUpdate {
    pub(crate) name: Option<String>,
    pub(crate) greeter: Option<Greeter>,
    pub(crate) bot_id: Option<Uuid>,
    pub(crate) transcript_enabled: Option<bool>,
    /// Some(None): the account's fallback sender.
    pub(crate) transcript_sender_id: Option<Option<Uuid>>,
    pub(crate) time_zone: Option<String>,
}

/// The bot of a channel does not fit its greeter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongBot {
    /// A bot greets, and none is named.
    Missing,
    /// A bot is named, and something else greets.
    Superfluous,
}

impl Greeter {
    /// Checks that a bot is named if and only if a bot greets.
    pub(crate) fn check_bot(self, bot: Option<Uuid>) -> Result<(), WrongBot> {
        match (self, bot) {
            (Self::Bot, None) => Err(WrongBot::Missing),
            (Self::Routing | Self::Nobody, Some(_)) => Err(WrongBot::Superfluous),
            _ => Ok(()),
        }
    }
}

impl Channel {
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the channel. False: nothing changed. A channel whose greeter is no bot any more loses its bot.
    pub(crate) fn update(&mut self, update: ChannelUpdate) -> Result<bool, WrongBot> {
        let before = self.clone();
        let greeter = update.greeter.unwrap_or(self.greeter);
        let bot_id = update.bot_id.or(self.bot_id).filter(|_| greeter == Greeter::Bot);
        greeter.check_bot(bot_id)?;
        (self.greeter, self.bot_id) = (greeter, bot_id);
        if let Some(name) = update.name {
            self.name = name;
        }
        if let Some(time_zone) = update.time_zone {
            self.time_zone = time_zone;
        }
        self.transcript_enabled = update.transcript_enabled.unwrap_or(self.transcript_enabled);
        self.transcript_sender_id = update.transcript_sender_id.unwrap_or(self.transcript_sender_id);
        Ok(*self != before)
    }

    /// Deletes the channel: no conversation starts on it any more. False: it was deleted before.
    pub(crate) fn delete(&mut self) -> bool {
        !std::mem::replace(&mut self.deleted, true)
    }

    /// What greets a conversation that starts now: the channel's bot unless it was deleted, and people in its place
    /// (rule B1). `session` is the id of the bot session that would begin.
    pub(crate) fn greeting(&self, bot: Option<&Bot>, session: Uuid) -> Greeting {
        match (self.greeter, bot.filter(|bot| !bot.deleted && Some(bot.id) == self.bot_id)) {
            (Greeter::Nobody, _) => Greeting::Nobody,
            (Greeter::Bot, Some(bot)) => Greeting::Bot { bot: bot.id, session, timeout: bot.timeout },
            (Greeter::Bot | Greeter::Routing, _) => Greeting::Routing,
        }
    }
}
