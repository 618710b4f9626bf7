//! The decision at a close: send a transcript automatically, or skip it with a reason (rules T1 to T3).

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{ConversationClose, DecisionFacts};

/// Why no transcript is sent automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    Disabled,
    BotConversation,
    Ticket,
    NoAddress,
    Suppressed,
    UnverifiedLimit,
    RecentlyMailed,
    ConversationLimit,
    RecipientLimit,
    AccountLimit,
    /// One that only a later release knows, which decided.
    Other,
}

impl SkipReason {
    /// Every reason.
    const ALL: [Self; 11] = [
        Self::Disabled,
        Self::BotConversation,
        Self::Ticket,
        Self::NoAddress,
        Self::Suppressed,
        Self::UnverifiedLimit,
        Self::RecentlyMailed,
        Self::ConversationLimit,
        Self::RecipientLimit,
        Self::AccountLimit,
        Self::Other,
    ];

    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "DISABLED",
            Self::BotConversation => "BOT_CONVERSATION",
            Self::Ticket => "TICKET",
            Self::NoAddress => "NO_ADDRESS",
            Self::Suppressed => "SUPPRESSED",
            Self::UnverifiedLimit => "UNVERIFIED_LIMIT",
            Self::RecentlyMailed => "RECENTLY_MAILED",
            Self::ConversationLimit => "CONVERSATION_LIMIT",
            Self::RecipientLimit => "RECIPIENT_LIMIT",
            Self::AccountLimit => "ACCOUNT_LIMIT",
            Self::Other => "OTHER",
        }
    }

    /// Returns the reason with this name, [`Self::Other`] if there is none: while replicas are upgraded, a later release decides too.
    pub(crate) fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name).unwrap_or(Self::Other)
    }
}

/// What was decided about one close. There is exactly one decision for each close.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptDecision {
    /// Nil: it was only foreseen by a preview and is not stored.
    pub(crate) id: Uuid,
    pub(crate) close: ConversationClose,
    /// None: a transcript is sent.
    pub(crate) skip_reason: Option<SkipReason>,
    pub(crate) delivery: Option<Uuid>,
    pub(crate) created_at: Time,
}

/// Decides about a transcript. Returns the reason to skip it; None: send it. `barred`: why no transcript may go to the address, because it
/// is suppressed or a limit of mails is reached.
pub(crate) fn decide(facts: &DecisionFacts, barred: Option<SkipReason>) -> Option<SkipReason> {
    if !facts.transcript_enabled {
        Some(SkipReason::Disabled)
    } else if facts.had_bot_session && !facts.had_agent {
        Some(SkipReason::BotConversation)
    } else if facts.had_ticket {
        Some(SkipReason::Ticket)
    } else if !facts.contact_known || !facts.email_usable {
        Some(SkipReason::NoAddress)
    } else {
        barred
    }
}

/// Returns an explanation of the decision for a person to read.
pub(crate) fn explain(skip: Option<SkipReason>, facts: &DecisionFacts) -> String {
    let sentence = match skip {
        None if facts.had_bot_session => {
            "To be sent: the conversation was assigned to an agent after the bot, and the contact has an address that mail may go to."
        }
        None => "To be sent: the contact has an address that mail may go to.",
        Some(SkipReason::Disabled) => {
            "Not sent: automatic transcripts were switched off for the channel when the chat ended."
        }
        Some(SkipReason::BotConversation) => {
            "Not sent: it was a bot's chat. A bot greeted, and no agent was its assignee before it ended."
        }
        Some(SkipReason::Ticket) => {
            "Not sent: a ticket was created in the chat, or the contact had an open one, so the conversation goes on there."
        }
        Some(SkipReason::NoAddress) if facts.token_email_unusable => {
            "Not sent: the address in the visitor's token is not one that mail can go to, so it was not used. GetConversation shows \
             it."
        }
        Some(SkipReason::NoAddress) if facts.contact_known => {
            "Not sent: the contact had no address that mail may go to when the chat ended."
        }
        Some(SkipReason::NoAddress) => "Not sent: the visitor was unknown when the chat ended.",
        Some(SkipReason::Suppressed) => {
            "Not sent: the contact's address is not mailed any more. ListSuppressions says why, and an administrator can allow it again."
        }
        Some(SkipReason::UnverifiedLimit) => {
            "Not sent: the contact's address is not verified, and the limit of mails to unverified addresses in 24 hours is reached."
        }
        Some(SkipReason::RecentlyMailed) => {
            "Not sent: the transcript of a close shortly before was mailed to the contact's address, or waits to be. An agent can send \
             this one."
        }
        Some(SkipReason::ConversationLimit) => {
            "Not sent: the limit of transcripts of one conversation in an hour is reached. An agent can send it."
        }
        Some(SkipReason::RecipientLimit) => {
            "Not sent: the limit of transcripts to the contact's address in 24 hours is reached. An agent can send it."
        }
        Some(SkipReason::AccountLimit) => {
            "Not sent: the limit of transcripts of the account in an hour is reached. An agent can send it."
        }
        Some(SkipReason::Other) => {
            "Not sent: a later release decided, for a reason that this one does not know. Ask again when every replica is upgraded."
        }
    };
    sentence.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat_with_a_person() -> DecisionFacts {
        DecisionFacts {
            transcript_enabled: true,
            had_agent: true,
            contact_known: true,
            email_usable: true,
            email_verified: true,
            ..DecisionFacts::default()
        }
    }

    #[test]
    fn t1_a_chat_with_a_person_is_mailed() {
        assert_eq!(decide(&chat_with_a_person(), None), None);
    }

    #[test]
    fn t1_the_channels_switch_comes_before_every_other_reason() {
        let facts = DecisionFacts { had_bot_session: true, had_ticket: true, ..DecisionFacts::default() };
        assert_eq!(decide(&facts, Some(SkipReason::AccountLimit)), Some(SkipReason::Disabled));
    }

    #[test]
    fn t2_a_bots_chat_nobody_took_is_skipped() {
        let facts = DecisionFacts { had_bot_session: true, had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, None), Some(SkipReason::BotConversation));
    }

    #[test]
    fn t2_a_bots_chat_that_a_person_took_over_is_mailed() {
        let facts = DecisionFacts { had_bot_session: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, None), None);
        assert!(explain(None, &facts).contains("assigned to an agent after the bot"));
    }

    #[test]
    fn t2_a_chat_without_a_bot_is_not_a_bot_conversation_even_without_an_agent() {
        let facts = DecisionFacts { had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, None), None);
    }

    #[test]
    fn t2_a_ticket_stands_for_the_transcript() {
        let facts = DecisionFacts { had_ticket: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, None), Some(SkipReason::Ticket));
    }

    #[test]
    fn t2_without_a_contact_or_an_address_it_is_skipped() {
        let unknown = DecisionFacts { contact_known: false, ..chat_with_a_person() };
        let no_address = DecisionFacts { email_usable: false, ..chat_with_a_person() };
        assert_eq!(decide(&unknown, None), Some(SkipReason::NoAddress));
        assert_eq!(decide(&no_address, None), Some(SkipReason::NoAddress));
        let not_used = DecisionFacts { token_email_unusable: true, ..unknown };
        let explanations = [unknown, no_address, not_used].map(|facts| explain(Some(SkipReason::NoAddress), &facts));
        assert!(explanations[0] != explanations[1] && explanations[2].contains("in the visitor's token"));
    }

    #[test]
    fn s4_a_limit_skips_what_would_be_sent_and_says_which() {
        for reason in [
            SkipReason::UnverifiedLimit,
            SkipReason::ConversationLimit,
            SkipReason::RecipientLimit,
            SkipReason::AccountLimit,
        ] {
            let facts = chat_with_a_person();
            assert_eq!(decide(&facts, Some(reason)), Some(reason));
            assert!(explain(Some(reason), &facts).contains("limit"));
        }
    }

    #[test]
    fn s4_a_close_shortly_after_a_transcript_is_skipped_and_says_so() {
        let facts = chat_with_a_person();
        assert_eq!(decide(&facts, Some(SkipReason::RecentlyMailed)), Some(SkipReason::RecentlyMailed));
        assert!(explain(Some(SkipReason::RecentlyMailed), &facts).contains("shortly before"));
    }

    #[test]
    fn t2_a_suppressed_address_is_skipped_with_that_reason() {
        let facts = chat_with_a_person();
        assert_eq!(decide(&facts, Some(SkipReason::Suppressed)), Some(SkipReason::Suppressed));
        assert!(explain(Some(SkipReason::Suppressed), &facts).contains("not mailed any more"));
    }

    #[test]
    fn t3_a_stored_reason_is_read_back() {
        for reason in SkipReason::ALL {
            assert_eq!(SkipReason::parse(reason.as_str()), reason);
        }
        assert_eq!(SkipReason::parse("OF_A_LATER_RELEASE"), SkipReason::Other);
    }
}
