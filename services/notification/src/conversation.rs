//! What this service asks the conversation service, in its own words.

use frontdesk_client::Peer;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::conversation::v1::{
    self as theirs, channel_service_client::ChannelServiceClient, contact_service_client::ContactServiceClient,
    conversation_service_client::ConversationServiceClient, entry::Content as TheirContent,
    thread_service_client::ThreadServiceClient,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    domain::{Author, Content, Line, mail_address},
    error::NotificationError,
};

const ENTRIES_A_PAGE: i32 = 200;
/// 200 entries of 10,000 characters, each of up to four bytes, and room.
const LARGEST_PAGE: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no such thing (any more).
    NotFound(&'static str),
    /// Ask again later.
    Later(String),
}

impl From<NoAnswer> for NotificationError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::NotFound(what) => Self::NotFound(what),
            NoAnswer::Later(why) => Self::ConversationUnavailable(why),
        }
    }
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) channel_id: Uuid,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) closed: bool,
    pub(crate) close_number: i32,
    pub(crate) page_url: String,
    pub(crate) page_title: String,
    pub(crate) started_at: Time,
    pub(crate) closed_at: Option<Time>,
    pub(crate) last_sequence: i64,
}

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) name: String,
    /// The first is the one that mail by hand goes to when none is chosen.
    pub(crate) emails: Vec<String>,
    pub(crate) time_zone: String,
}

impl Contact {
    /// The contact's address that was asked for, or the first, if mail may go there.
    pub(crate) fn address(&self, asked: &str) -> Option<String> {
        let mut emails = self.emails.iter();
        let found = if asked.is_empty() { emails.next() } else { emails.find(|one| one.eq_ignore_ascii_case(asked)) };
        found.and_then(|address| mail_address(address)).map(str::to_owned)
    }
}

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) sender_id: Option<Uuid>,
}

/// What a close froze for its transcript (rule T2), or would freeze now.
#[derive(Clone, Debug)]
pub(crate) struct ClosingFacts {
    pub(crate) contact_id: Option<Uuid>,
    /// The visitor's own address, if mail may go there.
    pub(crate) recipient: Option<String>,
    pub(crate) recipient_verified: bool,
    pub(crate) had_bot_session: bool,
    pub(crate) had_agent: bool,
    pub(crate) had_ticket: bool,
    pub(crate) transcript_enabled: bool,
    pub(crate) sender_id: Option<Uuid>,
    pub(crate) last_sequence: i64,
    /// Empty: none is known to be theirs.
    pub(crate) visitor_name: String,
}

/// By which name the visitor's lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VisitorName {
    /// The visitor gets the mail and has no name.
    You,
    /// Another gets it, and the visitor has no name.
    Unknown,
    Known(String),
}

/// Asks the conversation service, as this service, within one account.
#[derive(Clone)]
pub(crate) struct Conversations(pub(crate) Peer);

impl Conversations {
    pub(crate) async fn conversation(&self, account: AccountId, id: Uuid) -> Result<Conversation, NoAnswer> {
        let what = "conversation";
        let request = theirs::GetConversationRequest { conversation_id: id.to_string() };
        let mut client = ConversationServiceClient::new(self.0.for_account(account));
        let answer = client.get_conversation(request).await.map_err(|status| no_answer(what, &status))?.into_inner();
        let theirs = answer.conversation.ok_or(NoAnswer::NotFound(what))?;
        Ok(Conversation {
            channel_id: uuid(&theirs.channel_id).ok_or(NoAnswer::NotFound("channel"))?,
            contact_id: uuid(&theirs.contact_id),
            closed: theirs.status() == theirs::ConversationStatus::Closed,
            close_number: theirs.close_number,
            started_at: time(theirs.create_time.as_ref()),
            closed_at: theirs.close_time.as_ref().map(Time::from_proto),
            last_sequence: theirs.last_sequence,
            page_url: theirs.page_url,
            page_title: theirs.page_title,
        })
    }

    pub(crate) async fn contact(&self, account: AccountId, id: Uuid) -> Result<Contact, NoAnswer> {
        let request = theirs::GetContactRequest { contact_id: id.to_string() };
        let mut client = ContactServiceClient::new(self.0.for_account(account));
        let answer = client.get_contact(request).await.map_err(|status| no_answer("contact", &status))?.into_inner();
        let theirs = answer.contact.ok_or(NoAnswer::NotFound("contact"))?;
        let emails = theirs.emails.into_iter().map(|email| email.address).collect();
        Ok(Contact { name: theirs.name, emails, time_zone: theirs.time_zone })
    }

    pub(crate) async fn channel(&self, account: AccountId, id: Uuid) -> Result<Channel, NoAnswer> {
        let request = theirs::GetChannelRequest { channel_id: id.to_string() };
        let mut client = ChannelServiceClient::new(self.0.for_account(account));
        let answer = client.get_channel(request).await.map_err(|status| no_answer("channel", &status))?.into_inner();
        let theirs = answer.channel.ok_or(NoAnswer::NotFound("channel"))?;
        Ok(Channel { sender_id: uuid(&theirs.transcript_sender_id), name: theirs.name, time_zone: theirs.time_zone })
    }

    /// What a close froze; 0: what one would freeze now.
    pub(crate) async fn closing_facts(
        &self,
        account: AccountId,
        id: Uuid,
        close_number: i32,
    ) -> Result<ClosingFacts, NoAnswer> {
        let request = theirs::GetClosingFactsRequest { conversation_id: id.to_string(), close_number };
        let mut client = ConversationServiceClient::new(self.0.for_account(account));
        let theirs =
            client.get_closing_facts(request).await.map_err(|status| no_answer("close", &status))?.into_inner();
        Ok(ClosingFacts {
            contact_id: uuid(&theirs.contact_id),
            recipient: mail_address(&theirs.recipient).map(str::to_owned),
            recipient_verified: theirs.recipient_verified,
            had_bot_session: theirs.had_bot_session,
            had_agent: theirs.had_agent,
            had_ticket: theirs.had_ticket,
            transcript_enabled: theirs.transcript_enabled,
            sender_id: uuid(&theirs.sender_id),
            last_sequence: theirs.last_sequence,
            visitor_name: theirs.visitor_name,
        })
    }

    /// Tells the lines that the visitor saw, page by page, up to a sequence; 0: to the newest.
    pub(crate) async fn thread(
        &self,
        account: AccountId,
        id: Uuid,
        until: i64,
        visitor: &VisitorName,
        mut tell: impl FnMut(Line),
    ) -> Result<(), NoAnswer> {
        let mut client = ThreadServiceClient::new(self.0.for_account(account)).max_decoding_message_size(LARGEST_PAGE);
        let mut after = 0;
        loop {
            let request = theirs::ListEntriesRequest {
                conversation_id: id.to_string(),
                after_sequence: after,
                until_sequence: until,
                page_size: ENTRIES_A_PAGE,
            };
            let page =
                client.list_entries(request).await.map_err(|status| no_answer("conversation", &status))?.into_inner();
            let Some(last) = page.entries.last().map(|entry| entry.sequence) else { return Ok(()) };
            page.entries.into_iter().filter_map(|entry| line(entry, visitor)).for_each(&mut tell);
            if !page.has_more || last <= after {
                return Ok(());
            }
            after = last;
        }
    }
}

/// What a transcript shows of an entry; None: the visitor did not see it.
fn line(entry: theirs::Entry, visitor: &VisitorName) -> Option<Line> {
    if entry.visitor_sequence <= 0 {
        return None;
    }
    let author = entry.author.unwrap_or_default();
    let content = match entry.content? {
        TheirContent::Message(message) => message_content(message, &author, visitor),
        TheirContent::AssigneeChanged(change) => {
            let agent = change.to.filter(|to| to.kind() == theirs::ActorKind::Agent)?;
            Content::Joined { name: or(agent.name, "An agent") }
        }
        TheirContent::Closed(closed) => {
            Content::Ended { visitor_inactive: closed.reason() == theirs::CloseReason::VisitorInactive }
        }
        TheirContent::Reopened(_) => Content::Reopened,
        // Comments, links, tickets and sent transcripts are the team's (rule C7).
        TheirContent::Comment(_)
        | TheirContent::ContactLinked(_)
        | TheirContent::HandedOff(_)
        | TheirContent::TicketCreated(_)
        | TheirContent::TranscriptSent(_) => return None,
    };
    Some(Line { at: time(entry.create_time.as_ref()), content })
}

fn message_content(message: theirs::Message, author: &theirs::Actor, visitor: &VisitorName) -> Content {
    let (kind, name) = match author.kind() {
        theirs::ActorKind::Visitor => match visitor {
            VisitorName::You => (Author::Unnamed, "You".to_owned()),
            VisitorName::Unknown => (Author::Unnamed, "Visitor".to_owned()),
            VisitorName::Known(name) => (Author::Visitor, name.clone()),
        },
        theirs::ActorKind::Bot => (Author::Bot, or(author.name.clone(), "Bot")),
        _ => (Author::Agent, or(author.name.clone(), "Agent")),
    };
    let buttons = message.buttons.into_iter().map(|button| button.label).collect();
    Content::Message { author: kind, name, text: message.text, buttons }
}

fn or(name: String, otherwise: &str) -> String {
    if name.trim().is_empty() { otherwise.to_owned() } else { name }
}

fn uuid(text: &str) -> Option<Uuid> {
    text.parse().ok()
}

fn time(time: Option<&prost_types::Timestamp>) -> Time {
    time.map_or(Time(0), Time::from_proto)
}

/// Only 'there is none' is an answer for good; whatever else went wrong may be mended.
fn no_answer(what: &'static str, status: &Status) -> NoAnswer {
    match status.code() {
        Code::NotFound => NoAnswer::NotFound(what),
        code => NoAnswer::Later(format!("{what}: {code:?}: {}", status.message())),
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
