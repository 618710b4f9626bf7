//! What this service asks the conversation service, in its own words.

use frontdesk_auth::AccountId;
use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1::{
    self as theirs, channel_service_client::ChannelServiceClient, contact_service_client::ContactServiceClient,
    conversation_service_client::ConversationServiceClient, entry::Content as TheirContent,
    thread_service_client::ThreadServiceClient,
};
use frontdesk_rpc::Peer;
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
    pub(crate) assigned_to_agent: bool,
    pub(crate) bot_in_charge: bool,
}

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) name: String,
    /// Address, and is it verified; the first is the one that mail goes to.
    pub(crate) emails: Vec<(String, bool)>,
    pub(crate) time_zone: String,
}

impl Contact {
    /// The contact's address that was asked for, or the first, if mail may go there.
    pub(crate) fn address(&self, asked: &str) -> Option<String> {
        let mut emails = self.emails.iter().map(|(address, _)| address);
        let found = if asked.is_empty() { emails.next() } else { emails.find(|one| one.eq_ignore_ascii_case(asked)) };
        found.and_then(|address| mail_address(address)).map(str::to_owned)
    }
}

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) transcript_enabled: bool,
    pub(crate) sender_id: Option<Uuid>,
}

/// What a thread tells: the lines that the visitor saw, and facts that only the thread knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thread {
    pub(crate) lines: Vec<Line>,
    pub(crate) had_agent: bool,
    pub(crate) had_bot: bool,
    pub(crate) had_ticket: bool,
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
        let kind = theirs.assignee.as_ref().map(theirs::Actor::kind);
        Ok(Conversation {
            channel_id: uuid(&theirs.channel_id).ok_or(NoAnswer::NotFound("channel"))?,
            contact_id: uuid(&theirs.contact_id),
            closed: theirs.status() == theirs::ConversationStatus::Closed,
            close_number: theirs.close_number,
            started_at: time(theirs.create_time.as_ref()),
            closed_at: theirs.close_time.as_ref().map(Time::from_proto),
            last_sequence: theirs.last_sequence,
            assigned_to_agent: kind == Some(theirs::ActorKind::Agent),
            bot_in_charge: theirs.bot_session.is_some() || kind == Some(theirs::ActorKind::Bot),
            page_url: theirs.page_url,
            page_title: theirs.page_title,
        })
    }

    pub(crate) async fn contact(&self, account: AccountId, id: Uuid) -> Result<Contact, NoAnswer> {
        let request = theirs::GetContactRequest { contact_id: id.to_string() };
        let mut client = ContactServiceClient::new(self.0.for_account(account));
        let answer = client.get_contact(request).await.map_err(|status| no_answer("contact", &status))?.into_inner();
        let theirs = answer.contact.ok_or(NoAnswer::NotFound("contact"))?;
        let emails = theirs.emails.into_iter().map(|email| (email.address, email.verified)).collect();
        Ok(Contact { name: theirs.name, emails, time_zone: theirs.time_zone })
    }

    pub(crate) async fn channel(&self, account: AccountId, id: Uuid) -> Result<Channel, NoAnswer> {
        let request = theirs::GetChannelRequest { channel_id: id.to_string() };
        let mut client = ChannelServiceClient::new(self.0.for_account(account));
        let answer = client.get_channel(request).await.map_err(|status| no_answer("channel", &status))?.into_inner();
        let theirs = answer.channel.ok_or(NoAnswer::NotFound("channel"))?;
        Ok(Channel {
            sender_id: uuid(&theirs.transcript_sender_id),
            name: theirs.name,
            time_zone: theirs.time_zone,
            transcript_enabled: theirs.transcript_enabled,
        })
    }

    /// The thread up to a sequence; 0: to the newest.
    pub(crate) async fn thread(
        &self,
        account: AccountId,
        id: Uuid,
        until: i64,
        visitor: &str,
    ) -> Result<Thread, NoAnswer> {
        let mut client = ThreadServiceClient::new(self.0.for_account(account)).max_decoding_message_size(LARGEST_PAGE);
        let mut thread = Thread::default();
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
            let Some(last) = page.entries.last().map(|entry| entry.sequence) else { return Ok(thread) };
            for entry in page.entries {
                thread.add(entry, visitor);
            }
            if !page.has_more || last <= after {
                return Ok(thread);
            }
            after = last;
        }
    }
}

impl Thread {
    fn add(&mut self, entry: theirs::Entry, visitor: &str) {
        let at = time(entry.create_time.as_ref());
        let shown = entry.visitor_sequence > 0;
        let author = entry.author.unwrap_or_default();
        self.had_bot |= author.kind() == theirs::ActorKind::Bot;
        let content = match entry.content {
            Some(TheirContent::Message(message)) => Some(message_content(message, &author, visitor)),
            Some(TheirContent::AssigneeChanged(change)) => {
                let bot =
                    |actor: &Option<theirs::Actor>| actor.as_ref().is_some_and(|a| a.kind() == theirs::ActorKind::Bot);
                self.had_bot |= bot(&change.from) || bot(&change.to);
                let agent = change.to.filter(|to| to.kind() == theirs::ActorKind::Agent);
                self.had_agent |= agent.is_some();
                agent.map(|agent| Content::Joined { name: or(agent.name, "An agent") })
            }
            Some(TheirContent::HandedOff(_)) => {
                self.had_bot = true;
                None
            }
            Some(TheirContent::TicketCreated(_)) => {
                self.had_ticket = true;
                None
            }
            Some(TheirContent::Closed(closed)) => {
                Some(Content::Ended { visitor_inactive: closed.reason() == theirs::CloseReason::VisitorInactive })
            }
            Some(TheirContent::Reopened(_)) => {
                // Whoever reopens is its assignee (rule E4).
                self.had_agent = true;
                Some(Content::Reopened)
            }
            // Comments, links and sent transcripts are the team's (rule C7).
            Some(TheirContent::Comment(_) | TheirContent::ContactLinked(_) | TheirContent::TranscriptSent(_))
            | None => None,
        };
        if let Some(content) = content.filter(|_| shown) {
            self.lines.push(Line { at, content });
        }
    }
}

fn message_content(message: theirs::Message, author: &theirs::Actor, visitor: &str) -> Content {
    let (kind, name) = match author.kind() {
        theirs::ActorKind::Visitor => (Author::Visitor, or(visitor.to_owned(), "You")),
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
