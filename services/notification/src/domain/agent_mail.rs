//! Mails to agents: what an agent wants to hear of, and which mail it is in (rule N4). They name the conversation and hold nothing of it.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// Interval between two mails to one agent about one conversation.
const INTERVAL: Duration = Duration::from_secs(600);

/// What an agent is mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A comment mentions them.
    Mention,
    /// They became the owner of the conversation, by another one's doing.
    Assignment,
}

/// What an agent wants to be mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotificationPreferences {
    pub(crate) mentions: bool,
    pub(crate) assignments: bool,
}

impl Default for NotificationPreferences {
    fn default() -> Self {
        Self { mentions: true, assignments: true }
    }
}

impl NotificationPreferences {
    pub(crate) fn wants(self, notice: Notice) -> bool {
        match notice {
            Notice::Mention => self.mentions,
            Notice::Assignment => self.assignments,
        }
    }

    /// Returns the preferences after a change. None: unchanged.
    pub(crate) fn with(self, mentions: Option<bool>, assignments: Option<bool>) -> Self {
        Self { mentions: mentions.unwrap_or(self.mentions), assignments: assignments.unwrap_or(self.assignments) }
    }
}

/// What a mail to an agent is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentMail {
    pub(crate) delivery: Uuid,
    pub(crate) account: AccountId,
    pub(crate) agent: Uuid,
    pub(crate) conversation: Uuid,
    /// Number of comments that mention the agent.
    pub(crate) mentions: i32,
    /// Number of times that the conversation was assigned to the agent.
    pub(crate) assignments: i32,
    /// It is not composed yet, so what happens in the conversation joins it.
    pub(crate) takes_more: bool,
    /// When it is mailed.
    pub(crate) due_at: Time,
}

impl AgentMail {
    /// Adds a notice to the mail.
    pub(crate) fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Mention => self.mentions += 1,
            Notice::Assignment => self.assignments += 1,
        }
    }

    /// Returns when the mail after `last` is due: at once, unless the last one was due less than ten minutes ago.
    pub(crate) fn next_due(last: Option<&Self>, now: Time) -> Time {
        last.map_or(now, |last| now.max(last.due_at.plus(INTERVAL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(due_at: Time) -> AgentMail {
        AgentMail {
            delivery: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            agent: Uuid::from_u128(3),
            conversation: Uuid::from_u128(4),
            mentions: 0,
            assignments: 0,
            takes_more: true,
            due_at,
        }
    }

    #[test]
    fn n4_the_first_mail_is_due_at_once_and_the_next_one_ten_minutes_after_it() {
        let now = Time(5_000_000_000);
        let before = |seconds| mail(now.minus(Duration::from_secs(seconds)));
        assert_eq!(AgentMail::next_due(None, now), now);
        assert_eq!(AgentMail::next_due(Some(&before(60)), now), now.plus(Duration::from_secs(540)));
        assert_eq!(AgentMail::next_due(Some(&before(600)), now), now);
        assert_eq!(AgentMail::next_due(Some(&before(6_000)), now), now);
    }

    #[test]
    fn n4_an_agent_hears_of_mentions_and_assignments_until_they_say_otherwise() {
        let preferences = NotificationPreferences::default();
        assert!(preferences.wants(Notice::Mention) && preferences.wants(Notice::Assignment));
        let changed = preferences.with(None, Some(false));
        assert!(changed.wants(Notice::Mention) && !changed.wants(Notice::Assignment));
        assert_eq!(changed.with(None, None), changed);
    }

    #[test]
    fn n4_a_mail_counts_what_it_is_about() {
        let mut mail = mail(Time(0));
        for notice in [Notice::Mention, Notice::Assignment, Notice::Mention] {
            mail.add(notice);
        }
        assert_eq!((mail.mentions, mail.assignments), (2, 1));
    }
}
