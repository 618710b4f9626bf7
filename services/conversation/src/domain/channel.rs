//! A channel: the website whose visitors chat, and how their conversations start.

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Bot, Greeting, Routing};

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) website_url: String,
    /// The bot that conversations start with. None: they start unassigned.
    pub(crate) bot_id: Option<Uuid>,
    /// The routing policy by which conversations wait for an agent. None, or with a bot: they are not routed.
    pub(crate) routing_policy_id: Option<Uuid>,
    /// The routing policy of what the bot hands off. None: the default one.
    pub(crate) hand_off_policy_id: Option<Uuid>,
    pub(crate) transcript_enabled: bool,
    /// None: the account's fallback sender.
    pub(crate) transcript_sender_id: Option<Uuid>,
    /// IANA name. Empty: unknown.
    pub(crate) time_zone: String,
    /// BCP 47 tag of the language of transcripts. Empty: the account's.
    pub(crate) language: String,
    /// None: there are no anonymous visitors.
    pub(crate) anonymous_visitors: Option<AnonymousVisitors>,
    /// None: it is always open.
    pub(crate) opening_hours_id: Option<Uuid>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    /// None: the channel is not deleted.
    pub(crate) deleted_at: Option<Time>,
    /// Number of the channel's events; also its etag.
    pub(crate) version: i64,
}

/// Settings of a channel's anonymous visitors (rule S6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnonymousVisitors {
    /// Origins of the pages that may create them. Empty: any.
    pub(crate) allowed_origins: Vec<String>,
}

/// Why an anonymous visitor is not created, or starts no chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// The channel has none.
    Disabled,
    /// The page is of another origin. None: the call names no origin.
    Origin(Option<String>),
}

/// What channels name at other services, as far as it was deleted there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeletedReferences {
    pub(crate) bots: HashSet<Uuid>,
    pub(crate) routing_policies: HashSet<Uuid>,
}

/// What an update changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelUpdate {
    pub(crate) name: Option<String>,
    pub(crate) website_url: Option<String>,
    /// Some(None): conversations start unassigned.
    pub(crate) bot_id: Option<Option<Uuid>>,
    /// Some(None): conversations are not routed.
    pub(crate) routing_policy_id: Option<Option<Uuid>>,
    /// Some(None): the default one.
    pub(crate) hand_off_policy_id: Option<Option<Uuid>>,
    pub(crate) transcript_enabled: Option<bool>,
    /// Some(None): the account's fallback sender.
    pub(crate) transcript_sender_id: Option<Option<Uuid>>,
    pub(crate) time_zone: Option<String>,
    /// Empty: the account's.
    pub(crate) language: Option<String>,
    /// Some(None): no anonymous visitors.
    pub(crate) anonymous_visitors: Option<Option<AnonymousVisitors>>,
    /// Some(None): no opening hours.
    pub(crate) opening_hours_id: Option<Option<Uuid>>,
}

/// The change of a channel, which decides its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelChange {
    Updated,
    Deleted,
    Undeleted,
}

impl Channel {
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The channel after the update. None: the update changes nothing.
    pub(crate) fn updated(&self, update: ChannelUpdate) -> Option<Self> {
        let after = Self {
            name: update.name.unwrap_or_else(|| self.name.clone()),
            website_url: update.website_url.unwrap_or_else(|| self.website_url.clone()),
            bot_id: update.bot_id.unwrap_or(self.bot_id),
            routing_policy_id: update.routing_policy_id.unwrap_or(self.routing_policy_id),
            hand_off_policy_id: update.hand_off_policy_id.unwrap_or(self.hand_off_policy_id),
            transcript_enabled: update.transcript_enabled.unwrap_or(self.transcript_enabled),
            transcript_sender_id: update.transcript_sender_id.unwrap_or(self.transcript_sender_id),
            time_zone: update.time_zone.unwrap_or_else(|| self.time_zone.clone()),
            language: update.language.unwrap_or_else(|| self.language.clone()),
            anonymous_visitors: update.anonymous_visitors.unwrap_or_else(|| self.anonymous_visitors.clone()),
            opening_hours_id: update.opening_hours_id.unwrap_or(self.opening_hours_id),
            ..self.clone()
        };
        (after != *self).then_some(after)
    }

    /// Deletes the channel: no conversation starts on it any more. None: it was deleted before.
    pub(crate) fn delete(&mut self, now: Time) -> Option<ChannelChange> {
        if self.is_deleted() {
            return None;
        }
        self.deleted_at = Some(now);
        Some(ChannelChange::Deleted)
    }

    /// Undoes the deletion. None: the channel is not deleted.
    pub(crate) fn undelete(&mut self) -> Option<ChannelChange> {
        self.deleted_at.take().map(|_| ChannelChange::Undeleted)
    }

    /// Requires that an anonymous visitor may be created by a page of this origin. None: the call names no origin.
    pub(crate) fn admit_page(&self, origin: Option<&str>) -> Result<(), NotAdmitted> {
        let AnonymousVisitors { allowed_origins } = self.anonymous_visitors.as_ref().ok_or(NotAdmitted::Disabled)?;
        let is_allowed = |origin: &str| allowed_origins.iter().any(|allowed| allowed == origin);
        if allowed_origins.is_empty() || origin.is_some_and(is_allowed) {
            return Ok(());
        }
        Err(NotAdmitted::Origin(origin.map(str::to_owned)))
    }

    /// How a conversation starts now: with the channel's bot unless it was deleted, otherwise unassigned (rule B1), and then by the
    /// channel's routing policy (rule A4), or that of the bot's hand-offs. `session` is the id of the bot session that would begin.
    pub(crate) fn greeting(&self, bot: Option<&Bot>, session: Uuid, contact_owner: Option<Uuid>) -> Greeting {
        match bot.filter(|bot| !bot.deleted && Some(bot.id) == self.bot_id) {
            Some(bot) => {
                let hand_off_policy = self.hand_off_policy_id;
                Greeting::Bot { bot: bot.id, session, timeout: bot.timeout, hand_off_policy }
            }
            None => match self.policy_without_bot() {
                Some(policy) => Greeting::Routed { policy, contact_owner },
                None => Greeting::Unassigned,
            },
        }
    }

    /// The routing policy of a conversation that its visitor starts without a bot: on a channel whose bot was deleted, that of the bot's
    /// hand-offs. None: it is not routed.
    pub(crate) fn policy_without_bot(&self) -> Option<Uuid> {
        if self.bot_id.is_some() { self.hand_off_policy_id } else { self.routing_policy_id }
    }

    /// The routing policy of conversations on a channel without a bot. None: they are not routed.
    pub(crate) fn routing_policy(&self) -> Option<Uuid> {
        self.routing_policy_id.filter(|_| self.bot_id.is_none())
    }

    /// How a conversation is routed that its bot handed off, or that was reopened: by the policy of the channel, or that of its bot's
    /// hand-offs. None: it is not routed.
    pub(crate) fn routing(&self, contact_owner: Option<Uuid>) -> Option<Routing> {
        let policy = match self.bot_id {
            Some(_) => self.hand_off_policy_id,
            None => Some(self.routing_policy()?),
        };
        Some(Routing { policy, team: None, contact_owner })
    }
}
