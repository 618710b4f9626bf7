//! The decision at a close: send a transcript by itself, or skip it with a reason (rules T1 to T3).

use sea_orm::entity::prelude::*;

/// What was true at the close.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) transcript_enabled: bool,
    pub(crate) had_bot_session: bool,
    pub(crate) had_agent: bool,
    pub(crate) had_ticket: bool,
    pub(crate) contact_known: bool,
    pub(crate) address_usable: bool,
    pub(crate) address_verified: bool,
}

/// Why none is sent by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum Skip {
    #[sea_orm(string_value = "DISABLED")]
    Disabled,
    #[sea_orm(string_value = "BOT_CONVERSATION")]
    BotConversation,
    #[sea_orm(string_value = "TICKET")]
    Ticket,
    #[sea_orm(string_value = "NO_ADDRESS")]
    NoAddress,
    #[sea_orm(string_value = "UNVERIFIED_LIMIT")]
    UnverifiedLimit,
}

impl Skip {
    /// As events say it: the proto's value without its prefix.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "DISABLED",
            Self::BotConversation => "BOT_CONVERSATION",
            Self::Ticket => "TICKET",
            Self::NoAddress => "NO_ADDRESS",
            Self::UnverifiedLimit => "UNVERIFIED_LIMIT",
        }
    }
}

/// None: send. `past_unverified_limit`: addresses that nobody verified had their share of mails.
pub(crate) fn decide(facts: &Facts, past_unverified_limit: bool) -> Option<Skip> {
    if !facts.transcript_enabled {
        Some(Skip::Disabled)
    } else if facts.had_bot_session && !facts.had_agent {
        Some(Skip::BotConversation)
    } else if facts.had_ticket {
        Some(Skip::Ticket)
    } else if !facts.contact_known || !facts.address_usable {
        Some(Skip::NoAddress)
    } else if !facts.address_verified && past_unverified_limit {
        Some(Skip::UnverifiedLimit)
    } else {
        None
    }
}

/// The decision for a person to read.
pub(crate) fn explain(skip: Option<Skip>, facts: &Facts) -> String {
    let sentence = match skip {
        None if facts.had_bot_session => {
            "To be sent: a person answered after the bot, and the contact has an address that mail may go to."
        }
        None => "To be sent: the contact has an address that mail may go to.",
        Some(Skip::Disabled) => {
            "Not sent: automatic transcripts were switched off for the channel when the chat ended."
        }
        Some(Skip::BotConversation) => {
            "Not sent: it was a bot's chat. A bot greeted, and no agent was its assignee before it ended."
        }
        Some(Skip::Ticket) => "Not sent: a ticket was created for the contact, so the conversation goes on there.",
        Some(Skip::NoAddress) if facts.contact_known => {
            "Not sent: the contact had no address that mail may go to when the chat ended."
        }
        Some(Skip::NoAddress) => "Not sent: the visitor was unknown when the chat ended.",
        Some(Skip::UnverifiedLimit) => {
            "Not sent: nobody verified the contact's address, and unverified addresses had their share of mails for a day."
        }
    };
    sentence.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat_with_a_person() -> Facts {
        Facts {
            transcript_enabled: true,
            had_agent: true,
            contact_known: true,
            address_usable: true,
            address_verified: true,
            ..Facts::default()
        }
    }

    #[test]
    fn t1_a_chat_with_a_person_is_mailed() {
        assert_eq!(decide(&chat_with_a_person(), true), None);
    }

    #[test]
    fn t1_the_channels_switch_comes_before_every_other_reason() {
        let facts = Facts { had_bot_session: true, had_ticket: true, ..Facts::default() };
        assert_eq!(decide(&facts, true), Some(Skip::Disabled));
    }

    #[test]
    fn t2_a_bots_chat_nobody_took_is_skipped() {
        let facts = Facts { had_bot_session: true, had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), Some(Skip::BotConversation));
    }

    #[test]
    fn t2_a_bots_chat_that_a_person_took_over_is_mailed() {
        let facts = Facts { had_bot_session: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), None);
        assert!(explain(None, &facts).contains("answered after the bot"));
    }

    #[test]
    fn t2_a_chat_that_never_had_a_bot_is_no_bot_conversation_even_without_an_agent() {
        let facts = Facts { had_agent: false, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), None);
    }

    #[test]
    fn t2_a_ticket_stands_for_the_transcript() {
        let facts = Facts { had_ticket: true, ..chat_with_a_person() };
        assert_eq!(decide(&facts, false), Some(Skip::Ticket));
    }

    #[test]
    fn t2_without_a_contact_or_an_address_there_is_nobody_to_mail() {
        let unknown = Facts { contact_known: false, ..chat_with_a_person() };
        let no_address = Facts { address_usable: false, ..chat_with_a_person() };
        assert_eq!(decide(&unknown, false), Some(Skip::NoAddress));
        assert_eq!(decide(&no_address, false), Some(Skip::NoAddress));
        assert_ne!(explain(Some(Skip::NoAddress), &unknown), explain(Some(Skip::NoAddress), &no_address));
    }

    #[test]
    fn t2_the_limit_is_for_unverified_addresses_only() {
        let unverified = Facts { address_verified: false, ..chat_with_a_person() };
        assert_eq!(decide(&unverified, true), Some(Skip::UnverifiedLimit));
        assert_eq!(decide(&unverified, false), None);
    }
}
