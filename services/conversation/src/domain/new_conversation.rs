//! A conversation starts.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{BotSession, Conversation, ConversationEvent, Owner, Status};

/// Maximum length of the address of a page (characters).
const MAX_PAGE_URL_LENGTH: usize = 2_000;
/// Maximum length of the title of a page (characters).
const MAX_PAGE_TITLE_LENGTH: usize = 300;

/// How a new conversation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Greeting {
    /// With a session of this bot.
    Bot { bot: Uuid, session: Uuid, timeout: Option<Duration> },
    /// Unassigned.
    Unassigned,
}

/// Where and with what a conversation began, as the widget gave it. It never changes (rule C1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StartContext {
    pub(crate) page_url: String,
    /// Empty: none was given.
    pub(crate) page_title: String,
    /// BCP 47 tag. Empty: none was given.
    pub(crate) language: String,
    /// IANA name. Empty: none was given.
    pub(crate) time_zone: String,
    pub(crate) properties: BTreeMap<String, String>,
}

impl StartContext {
    /// With an address and a title of a page that are not longer than what is stored. An address without its fragment or query
    /// opens the page still.
    pub(crate) fn shortened(self) -> Self {
        Self {
            page_url: shortened_url(self.page_url),
            page_title: self.page_title.chars().take(MAX_PAGE_TITLE_LENGTH).collect(),
            ..self
        }
    }
}

fn shortened_url(url: String) -> String {
    let is_short = |url: &str| url.chars().count() <= MAX_PAGE_URL_LENGTH;
    if is_short(&url) {
        return url;
    }
    let without = |marks: &[char]| url.split(marks).next().unwrap_or_default();
    match [without(&['#']), without(&['?', '#'])].into_iter().find(|url| is_short(url)) {
        Some(short) => short.to_owned(),
        None => url.chars().take(MAX_PAGE_URL_LENGTH).collect(),
    }
}

/// What a new conversation consists of.
#[derive(Clone, Debug)]
pub(crate) struct NewConversation {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) channel_id: Uuid,
    pub(crate) visitor_id: String,
    /// The name in the visitor's token. Empty: it has none.
    pub(crate) visitor_name: String,
    /// The address in the visitor's token when mail cannot go to it. Empty: there is none such.
    pub(crate) unusable_token_email: String,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) context: StartContext,
    pub(crate) previous_id: Option<Uuid>,
    pub(crate) greeting: Greeting,
}

impl Conversation {
    /// Starts a conversation (rules C1, B1): the session of a bot that greets is in charge from this commit on.
    pub(crate) fn start(new: NewConversation, now: Time) -> Self {
        let bot_session = match new.greeting {
            Greeting::Bot { bot, session, timeout } => {
                Some(BotSession { id: session, bot, timeout, started_at: now, in_charge: true })
            }
            Greeting::Unassigned => None,
        };
        Self {
            id: new.id,
            account: new.account,
            channel_id: new.channel_id,
            visitor_id: new.visitor_id,
            visitor_name: new.visitor_name,
            unusable_token_email: new.unusable_token_email,
            contact_id: new.contact_id,
            status: Status::Open,
            context: new.context,
            previous_id: new.previous_id,
            owner: bot_session.as_ref().map(|session| Owner::bot(session.bot)),
            epoch: 1,
            bot_session,
            had_agent: false,
            last_sequence: 0,
            last_visitor_sequence: 0,
            close_number: 0,
            close_reason: None,
            closed_at: None,
            created_at: now,
            last_visitor_activity_at: now,
            last_activity_at: now,
            version: 0,
            new_entries: Vec::new(),
            new_events: vec![ConversationEvent::Started],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_the_address_of_a_page_is_kept_as_browsers_give_it_and_shortened_when_it_is_too_long() {
        let shortened = |page_url: &str| {
            StartContext { page_url: page_url.to_owned(), ..StartContext::default() }.shortened().page_url
        };
        let page = "https://shop.example/p?a=b\\c#f{x}";
        assert_eq!(shortened(page), page);
        let long = "é".repeat(MAX_PAGE_URL_LENGTH);
        assert_eq!(shortened(&format!("{page}{long}")), "https://shop.example/p?a=b\\c");
        assert_eq!(shortened(&format!("https://shop.example/p?{long}#f")), "https://shop.example/p");
        let cut = shortened(&format!("https://shop.example/{long}?a"));
        assert!(cut.starts_with("https://shop.example/é") && cut.chars().count() == MAX_PAGE_URL_LENGTH);
    }
}
