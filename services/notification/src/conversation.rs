//! Client of the conversation service: calls it and maps its messages to types of this service.

use frontdesk_client::Peer;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::v1::{
        self as theirs, channel_service_client::ChannelServiceClient, contact_service_client::ContactServiceClient,
        conversation_service_client::ConversationServiceClient, entry::Content as TheirContent,
        thread_service_client::ThreadServiceClient,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    domain::{Author, ClosingFacts, Contact, Content, TranscriptLine, VisitorName},
    error::NotificationError,
};

/// Number of entries per page of a thread.
const ENTRIES_PER_PAGE: i32 = 200;
/// Maximum size of a page (bytes): 200 entries of 10,000 characters, each of up to four bytes, and their other fields.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Why the conversation service gave no answer.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// This thing does not exist, or does not exist any more.
    NotFound(&'static str),
    /// Another call may succeed.
    Unavailable(String),
}

impl From<UpstreamError> for NotificationError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::NotFound(resource) => Self::NotFound(resource),
            UpstreamError::Unavailable(reason) => Self::ConversationUnavailable(reason),
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

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) sender_id: Option<Uuid>,
}

/// What a close froze for its transcript (rule T2), or what a close now would freeze.
#[derive(Clone, Debug)]
pub(crate) struct ClosingSnapshot {
    pub(crate) facts: ClosingFacts,
    pub(crate) contact_id: Option<Uuid>,
    /// The visitor's own address, if mail may go to it.
    pub(crate) recipient: Option<String>,
    pub(crate) sender_id: Option<Uuid>,
    pub(crate) last_sequence: i64,
    /// The visitor's current name. Empty: none is known.
    pub(crate) visitor_name: String,
}

/// Client of the conversation service, which calls it as this service within one account.
#[derive(Clone)]
pub(crate) struct ConversationClient(pub(crate) Peer);

impl ConversationClient {
    pub(crate) async fn get_conversation(&self, account: AccountId, id: Uuid) -> Result<Conversation, UpstreamError> {
        let request = theirs::GetConversationRequest { conversation_id: id.to_string() };
        let mut client = ConversationServiceClient::new(self.0.for_account(account));
        let answer = client
            .get_conversation(request)
            .await
            .map_err(|status| upstream_error("conversation", &status))?
            .into_inner();
        let theirs = answer.conversation.ok_or(UpstreamError::NotFound("conversation"))?;
        Ok(Conversation {
            channel_id: uuid(&theirs.channel_id).ok_or(UpstreamError::NotFound("channel"))?,
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

    pub(crate) async fn get_contact(&self, account: AccountId, id: Uuid) -> Result<Contact, UpstreamError> {
        let request = theirs::GetContactRequest { contact_id: id.to_string() };
        let mut client = ContactServiceClient::new(self.0.for_account(account));
        let answer =
            client.get_contact(request).await.map_err(|status| upstream_error("contact", &status))?.into_inner();
        let theirs = answer.contact.ok_or(UpstreamError::NotFound("contact"))?;
        let emails = theirs.emails.into_iter().map(|email| email.address).collect();
        Ok(Contact { name: theirs.name, emails, time_zone: theirs.time_zone })
    }

    pub(crate) async fn get_channel(&self, account: AccountId, id: Uuid) -> Result<Channel, UpstreamError> {
        let request = theirs::GetChannelRequest { channel_id: id.to_string() };
        let mut client = ChannelServiceClient::new(self.0.for_account(account));
        let answer =
            client.get_channel(request).await.map_err(|status| upstream_error("channel", &status))?.into_inner();
        let theirs = answer.channel.ok_or(UpstreamError::NotFound("channel"))?;
        Ok(Channel { sender_id: uuid(&theirs.transcript_sender_id), name: theirs.name, time_zone: theirs.time_zone })
    }

    /// The snapshot of a close; 0: of a close now.
    pub(crate) async fn get_closing_snapshot(
        &self,
        account: AccountId,
        id: Uuid,
        close_number: i32,
    ) -> Result<ClosingSnapshot, UpstreamError> {
        let resource = if close_number == 0 { "conversation" } else { "close" };
        let request = theirs::GetClosingFactsRequest { conversation_id: id.to_string(), close_number };
        let mut client = ConversationServiceClient::new(self.0.for_account(account));
        let theirs =
            client.get_closing_facts(request).await.map_err(|status| upstream_error(resource, &status))?.into_inner();
        let contact_id = uuid(&theirs.contact_id);
        let recipient = frontdesk_mail_address::parse(&theirs.recipient).map(str::to_owned);
        Ok(ClosingSnapshot {
            facts: ClosingFacts {
                transcript_enabled: theirs.transcript_enabled,
                had_bot_session: theirs.had_bot_session,
                had_agent: theirs.had_agent,
                had_ticket: theirs.had_ticket,
                contact_known: contact_id.is_some(),
                address_usable: recipient.is_some(),
                address_verified: theirs.recipient_verified,
            },
            contact_id,
            recipient,
            sender_id: uuid(&theirs.sender_id),
            last_sequence: theirs.last_sequence,
            visitor_name: theirs.visitor_name,
        })
    }

    /// Reads the lines that the visitor saw, page by page, up to a sequence; 0: to the newest.
    pub(crate) async fn read_thread(
        &self,
        account: AccountId,
        id: Uuid,
        until: i64,
        visitor: &VisitorName,
        mut on_line: impl FnMut(TranscriptLine),
    ) -> Result<(), UpstreamError> {
        let mut client =
            ThreadServiceClient::new(self.0.for_account(account)).max_decoding_message_size(MAX_PAGE_BYTES);
        let mut after = 0;
        loop {
            let request = theirs::ListEntriesRequest {
                conversation_id: id.to_string(),
                after_sequence: after,
                until_sequence: until,
                page_size: ENTRIES_PER_PAGE,
            };
            let page = client
                .list_entries(request)
                .await
                .map_err(|status| upstream_error("conversation", &status))?
                .into_inner();
            let Some(last) = page.entries.last().map(|entry| entry.sequence) else { return Ok(()) };
            page.entries.into_iter().filter_map(|entry| line(entry, visitor)).for_each(&mut on_line);
            if !page.has_more || last <= after {
                return Ok(());
            }
            after = last;
        }
    }
}

/// The line that a transcript shows for an entry. None: the visitor did not see the entry (rule T7).
fn line(entry: theirs::Entry, visitor: &VisitorName) -> Option<TranscriptLine> {
    if entry.visitor_sequence <= 0 {
        return None;
    }
    let author = entry.author.unwrap_or_default();
    let content = match entry.content? {
        TheirContent::Message(message) => message_content(message, &author, visitor),
        TheirContent::AssigneeChanged(change) => {
            let agent = change.to.filter(|to| to.kind() == ActorKind::Agent)?;
            Content::Joined { name: name_or(agent.name, "An agent") }
        }
        TheirContent::Closed(closed) => {
            Content::Ended { visitor_inactive: closed.reason() == theirs::CloseReason::VisitorInactive }
        }
        TheirContent::Reopened(_) => Content::Reopened,
        // Only the team sees comments, links, tickets and sent transcripts (rule C7).
        TheirContent::Comment(_)
        | TheirContent::ContactLinked(_)
        | TheirContent::HandedOff(_)
        | TheirContent::TicketCreated(_)
        | TheirContent::TranscriptSent(_) => return None,
    };
    Some(TranscriptLine { at: time(entry.create_time.as_ref()), content })
}

fn message_content(message: theirs::Message, author: &Actor, visitor: &VisitorName) -> Content {
    let (kind, name) = match author.kind() {
        ActorKind::Visitor => match visitor {
            VisitorName::You => (Author::UnnamedVisitor, "You".to_owned()),
            VisitorName::Unknown => (Author::UnnamedVisitor, "Visitor".to_owned()),
            VisitorName::Known(name) => (Author::Visitor, name.clone()),
        },
        ActorKind::Bot => (Author::Bot, name_or(author.name.clone(), "Bot")),
        _ => (Author::Agent, name_or(author.name.clone(), "Agent")),
    };
    let buttons = message.buttons.into_iter().map(|button| button.label).collect();
    Content::Message { author: kind, name, text: message.text, buttons }
}

fn name_or(name: String, default: &str) -> String {
    if name.trim().is_empty() { default.to_owned() } else { name }
}

fn uuid(text: &str) -> Option<Uuid> {
    text.parse().ok()
}

fn time(time: Option<&prost_types::Timestamp>) -> Time {
    time.map_or(Time(0), Time::from_proto)
}

/// NOT_FOUND is the only final answer; any other failure is transient.
fn upstream_error(what: &'static str, status: &Status) -> UpstreamError {
    match status.code() {
        Code::NotFound => UpstreamError::NotFound(what),
        code => UpstreamError::Unavailable(format!("{what}: {code:?}: {}", status.message())),
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
