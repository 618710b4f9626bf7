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
    UnverifiedLimit,
}

impl SkipReason {
    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "DISABLED",
            Self::BotConversation => "BOT_CONVERSATION",
            Self::Ticket => "TICKET",
            Self::NoAddress => "NO_ADDRESS",
            Self::UnverifiedLimit => "UNVERIFIED_LIMIT",
        }
    }

    /// Returns the reason with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Disabled, Self::BotConversation, Self::Ticket, Self::NoAddress, Self::UnverifiedLimit]
            .into_iter()
            .find(|reason| reason.as_str() == name)
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

/// Decides about a transcript. Returns the reason to skip it; None: send it. `unverified_limit_reached`: the limit of mails
/// to unverified addresses is reached.
pub(crate) fn decide(facts: &DecisionFacts, unverified_limit_reached: bool) -> Option<SkipReason> {
    if !facts.transcript_enabled {
        Some(SkipReason::Disabled)
    } else if facts.had_bot_session && !facts.had_agent {
        Some(SkipReason::BotConversation)
    } else if facts.had_ticket {
        Some(SkipReason::Ticket)
    } else if !facts.contact_known || !facts.email_usable {
        Some(SkipReason::NoAddress)
    } else if !facts.email_verified && unverified_limit_reached {
        Some(SkipReason::UnverifiedLimit)
    } else {
        None
    }
}

/// Returns an explanation of the decision for a person to read.
pub(crate) fn explain(skip: Option<SkipReason>, facts: &DecisionFacts) -> String {
    let sentence = match skip {
        None if facts.had_bot_session => {
            "To be sent: a person answered after the bot, and the contact has an address that mail may go to."
        }
        None => "To be sent: the contact has an address that mail may go to.",
        Some(SkipReason::Disabled) => {
            "Not sent: automatic transcripts were switched off for the channel when the chat ended."
        }
        Some(SkipReason::BotConversation) => {
            "Not sent: it was a bot's chat. A bot greeted, and no agent was its assignee before it ended."
        }
        Some(SkipReason::Ticket) => {
            "Not sent: a ticket was created for the contact, so the conversation goes on there."
        }
        Some(SkipReason::NoAddress) if facts.contact_known => {
            "Not sent: the contact had no address that mail may go to when the chat ended."
        }
        Some(SkipReason::NoAddress) => "Not sent: the visitor was unknown when the chat ended.",
        Some(SkipReason::UnverifiedLimit) => {
            "Not sent: the contact's address is not verified, and the limit of mails to unverified addresses in 24 hours is reached."
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
        assert_eq!(decide(&chat_with_a_person(), true), None);
    }

    #[test]
    fn t1_the_channels_switch_comes_before_every_other_reason() {
        let facts = DecisionFacts { had_bot_session: true, had_ticket: true, ..DecisionFacts::default() };
        assert_eq!(decide(&facts, true), Some(SkipReason::Disabled));
    }

    #[test]
    fn t2_a_bots_chat_nobody_took_is_skipped() {
        let facts = DecisionFacts { had_bot_session: true, had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), Some(SkipReason::BotConversation));
    }

    #[test]
    fn t2_a_bots_chat_that_a_person_took_over_is_mailed() {
        let facts = DecisionFacts { had_bot_session: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), None);
        assert!(explain(None, &facts).contains("answered after the bot"));
    }

    #[test]
    fn t2_a_chat_without_a_bot_is_not_a_bot_conversation_even_without_an_agent() {
        let facts = DecisionFacts { had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), None);
    }

    #[test]
    fn t2_a_ticket_stands_for_the_transcript() {
        let facts = DecisionFacts { had_ticket: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), Some(SkipReason::Ticket));
    }

    #[test]
    fn t2_without_a_contact_or_an_address_it_is_skipped() {
        let unknown = DecisionFacts { contact_known: false, ..chat_with_a_person() };
        let no_address = DecisionFacts { email_usable: false, ..chat_with_a_person() };
        assert_eq!(decide(&unknown, false), Some(SkipReason::NoAddress));
        assert_eq!(decide(&no_address, false), Some(SkipReason::NoAddress));
        assert_ne!(explain(Some(SkipReason::NoAddress), &unknown), explain(Some(SkipReason::NoAddress), &no_address));
    }

    #[test]
    fn t2_the_unverified_limit_does_not_apply_to_verified_addresses() {
        let unverified = DecisionFacts { email_verified: false, ..chat_with_a_person() };
        assert_eq!(decide(&unverified, true), Some(SkipReason::UnverifiedLimit));
        assert_eq!(decide(&unverified, false), None);
    }
}
