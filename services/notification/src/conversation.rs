//! Client of the conversation service. It maps messages to types of this service.

use std::collections::HashMap;

use frontdesk_client::Peer;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::{
        internal::v1::{
            CreateAttachmentLinksRequest, GetClosingFactsRequest, ListErasedConversationsRequest,
            arbiter_service_client::ArbiterServiceClient,
        },
        v1::{
            self as proto, channel_service_client::ChannelServiceClient, contact_service_client::ContactServiceClient,
            conversation_service_client::ConversationServiceClient, entry::Content as ProtoContent,
            rich_text_block::Block as ProtoBlock, sent_insert::Content as ProtoInsert,
            thread_service_client::ThreadServiceClient,
        },
    },
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Response, Status};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    domain::{
        Attachment, Author, Block, Contact, Content, DecisionFacts, File, Insert, InsertContent, Message, Span,
        TranscriptLine, VisitorName,
    },
    error::NotificationError,
};

/// Maximum number of entries per page of a thread; a page with long ones ends earlier.
const ENTRIES_PER_PAGE: i32 = 500;

/// Maximum number of attachments whose links are asked for in one call.
const ATTACHMENTS_PER_CALL: usize = 500;

/// Why a call of the conversation service failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The resource does not exist, or does not exist any more.
    NotFound(&'static str),
    /// Another call may succeed.
    Unavailable(String),
}

impl From<CallError> for NotificationError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotFound(resource) => Self::NotFound(resource),
            CallError::Unavailable(reason) => Self::ConversationUnavailable(reason),
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
    /// BCP 47 tag. Empty: unknown.
    pub(crate) language: String,
    pub(crate) started_at: Time,
    pub(crate) closed_at: Option<Time>,
    pub(crate) last_sequence: i32,
}

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) sender_id: Option<Uuid>,
}

/// The facts that a close stored for its transcript (rule T2), or that a close now would store.
#[derive(Clone, Debug)]
pub(crate) struct ClosingFacts {
    pub(crate) decision_facts: DecisionFacts,
    pub(crate) contact_id: Option<Uuid>,
    /// The visitor's own address, if mail may go to it.
    pub(crate) recipient: Option<String>,
    pub(crate) sender_id: Option<Uuid>,
    pub(crate) last_sequence: i32,
    /// The visitor's current name. Empty: none is known.
    pub(crate) visitor_name: String,
    /// Language of transcripts of the channel, a BCP 47 tag. Empty: it had none.
    pub(crate) channel_language: String,
    /// The same of the account. Empty: it had none.
    pub(crate) account_language: String,
}

impl ClosingFacts {
    /// The languages of transcripts of the channel and of the account.
    pub(crate) fn languages(&self) -> [&str; 2] {
        [&self.channel_language, &self.account_language]
    }
}

/// A page of what an erasure is about.
#[derive(Clone, Debug)]
pub(crate) struct ErasedConversations {
    /// The contact, and those that were merged into it.
    pub(crate) contacts: Vec<Uuid>,
    pub(crate) conversations: Vec<Uuid>,
    pub(crate) has_more: bool,
}

/// A part of a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadRange {
    pub(crate) conversation: Uuid,
    /// Sequence of the last entry. 0: the newest.
    pub(crate) until: i32,
    /// When the links to its attachments end.
    pub(crate) links_end_at: Time,
}

/// Links to attachments by their ids. Without an entry an attachment was removed; an empty link: there is no address for links.
type Links = HashMap<String, String>;

/// Client of the conversation service. Each call is made as this service, for one account.
#[derive(Clone)]
pub(crate) struct ConversationClient(pub(crate) Peer);

impl ConversationClient {
    pub(crate) async fn get_conversation(&self, account: AccountId, id: Uuid) -> Result<Conversation, CallError> {
        let request = proto::GetConversationRequest { conversation_id: id.to_string() };
        let mut client = ConversationServiceClient::new(self.0.for_account(account));
        let response =
            client.get_conversation(request).await.map_err(|status| call_error("conversation", &status))?.into_inner();
        let found = response.conversation.ok_or(CallError::NotFound("conversation"))?;
        Ok(Conversation {
            channel_id: uuid(&found.channel_id).ok_or(CallError::NotFound("channel"))?,
            contact_id: uuid(&found.contact_id),
            closed: found.status() == proto::ConversationStatus::Closed,
            close_number: found.close_number,
            started_at: time(found.create_time.as_ref()),
            closed_at: found.close_time.as_ref().map(Time::from_proto),
            last_sequence: found.last_sequence,
            page_url: found.page_url,
            page_title: found.page_title,
            language: found.language,
        })
    }

    /// The contact, or the one that it was merged into.
    pub(crate) async fn get_contact(&self, account: AccountId, id: Uuid) -> Result<Contact, CallError> {
        let request = proto::GetContactRequest { contact_id: id.to_string() };
        let mut client = ContactServiceClient::new(self.0.for_account(account));
        let response = client.get_contact(request).await.map_err(|status| call_error("contact", &status))?.into_inner();
        let found = response.contact.ok_or(CallError::NotFound("contact"))?;
        let emails = found.emails.into_iter().map(|email| email.email).collect();
        Ok(Contact {
            id: uuid(&found.id).unwrap_or(id),
            name: found.name,
            emails,
            time_zone: found.time_zone,
            language: found.language,
        })
    }

    pub(crate) async fn get_channel(&self, account: AccountId, id: Uuid) -> Result<Channel, CallError> {
        let request = proto::GetChannelRequest { channel_id: id.to_string() };
        let mut client = ChannelServiceClient::new(self.0.for_account(account));
        let response = client.get_channel(request).await.map_err(|status| call_error("channel", &status))?.into_inner();
        let found = response.channel.ok_or(CallError::NotFound("channel"))?;
        Ok(Channel { sender_id: uuid(&found.transcript_sender_id), name: found.name, time_zone: found.time_zone })
    }

    /// Returns the facts of a close; 0: of a close now.
    pub(crate) async fn get_closing_facts(
        &self,
        account: AccountId,
        id: Uuid,
        close_number: i32,
    ) -> Result<ClosingFacts, CallError> {
        let resource = if close_number == 0 { "conversation" } else { "close" };
        let request = GetClosingFactsRequest { conversation_id: id.to_string(), close_number };
        let mut client = ArbiterServiceClient::new(self.0.for_account(account));
        let response =
            client.get_closing_facts(request).await.map_err(|status| call_error(resource, &status))?.into_inner();
        let contact_id = uuid(&response.contact_id);
        let recipient = frontdesk_mail_address::parse(&response.recipient_email).map(str::to_owned);
        Ok(ClosingFacts {
            decision_facts: DecisionFacts {
                transcript_enabled: response.transcript_enabled,
                had_bot_session: response.had_bot_session,
                had_agent: response.had_agent,
                had_ticket: response.had_ticket,
                contact_known: contact_id.is_some(),
                email_usable: recipient.is_some(),
                email_verified: response.recipient_verified,
                token_email_unusable: response.token_email_unusable,
            },
            contact_id,
            recipient,
            sender_id: uuid(&response.sender_id),
            last_sequence: response.last_sequence,
            visitor_name: response.visitor_name,
            channel_language: response.channel_language,
            account_language: response.account_language,
        })
    }

    /// Returns the conversations of an erasure's job after this one.
    pub(crate) async fn list_erased_conversations(
        &self,
        account: AccountId,
        job: Uuid,
        after: Option<Uuid>,
    ) -> Result<ErasedConversations, CallError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let request = ListErasedConversationsRequest { contact_job_id: job.to_string(), after };
        let mut client = ArbiterServiceClient::new(self.0.for_account(account));
        let response = client.list_erased_conversations(request).await;
        let found = response.map_err(|status| call_error("contact job", &status))?.into_inner();
        let ids = |texts: &[String]| texts.iter().filter_map(|text| uuid(text)).collect();
        Ok(ErasedConversations {
            contacts: ids(&found.contact_ids),
            conversations: ids(&found.conversation_ids),
            has_more: found.has_more,
        })
    }

    /// Begins to read the lines of a thread that the visitor saw.
    pub(crate) fn read_thread(&self, account: AccountId, range: ThreadRange, visitor: VisitorName) -> ThreadPages {
        let asked = Some(self.ask_for_page(account, range, 0));
        ThreadPages { client: self.clone(), account, range, visitor, asked, after: 0 }
    }

    /// Asks for the entries after this sequence.
    fn ask_for_page(
        &self,
        account: AccountId,
        range: ThreadRange,
        after: i32,
    ) -> AbortOnDropHandle<Result<proto::ListEntriesResponse, Status>> {
        let mut client = ThreadServiceClient::new(self.0.for_account(account));
        let request = proto::ListEntriesRequest {
            conversation_id: range.conversation.to_string(),
            after_sequence: after,
            until_sequence: range.until,
            page_size: ENTRIES_PER_PAGE,
        };
        let asking = async move { client.list_entries(request).await.map(Response::into_inner) };
        AbortOnDropHandle::new(tokio::spawn(asking.in_current_span()))
    }

    /// Returns the links to the attachments that the visitor saw in these entries.
    async fn links(&self, account: AccountId, entries: &[proto::Entry], end: Time) -> Result<Links, CallError> {
        let seen = entries.iter().filter(|entry| entry.visitor_sequence > 0).filter_map(|entry| match &entry.content {
            Some(ProtoContent::Message(message)) => Some(&message.attachments),
            _ => None,
        });
        let mut ids: Vec<String> = seen.flatten().map(|attachment| attachment.attachment_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut client = ArbiterServiceClient::new(self.0.for_account(account));
        let mut links = Links::new();
        for ids in ids.chunks(ATTACHMENTS_PER_CALL) {
            let request =
                CreateAttachmentLinksRequest { attachment_ids: ids.to_vec(), expire_time: Some(end.to_proto()) };
            let response = client.create_attachment_links(request).await;
            let response = response.map_err(|status| call_error("attachment", &status))?.into_inner();
            links.extend(response.links.into_iter().map(|link| (link.attachment_id, link.url)));
        }
        Ok(links)
    }
}

/// The lines of a thread that the visitor saw, page by page. The next page is asked for before one is taken over.
pub(crate) struct ThreadPages {
    client: ConversationClient,
    account: AccountId,
    range: ThreadRange,
    visitor: VisitorName,
    /// None: the last page was read.
    asked: Option<AbortOnDropHandle<Result<proto::ListEntriesResponse, Status>>>,
    /// Sequence of the last entry of the last page.
    after: i32,
}

impl ThreadPages {
    /// Returns the lines of the next page, which may have none. None: there is no further page.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<TranscriptLine>>, CallError> {
        let Some(asked) = self.asked.take() else { return Ok(None) };
        let page = asked.await.map_err(|error| CallError::Unavailable(error.to_string()))?;
        let page = page.map_err(|status| call_error("conversation", &status))?;
        let Some(last) = page.entries.last().map(|entry| entry.sequence) else { return Ok(None) };
        if page.has_more && last > self.after {
            self.asked = Some(self.client.ask_for_page(self.account, self.range, last));
        }
        self.after = last;
        let links = self.client.links(self.account, &page.entries, self.range.links_end_at).await?;
        Ok(Some(page.entries.into_iter().filter_map(|entry| line(entry, &self.visitor, &links)).collect()))
    }
}

/// Returns the line that a transcript shows for an entry. None: the visitor did not see the entry (rule T7).
fn line(entry: proto::Entry, visitor: &VisitorName, links: &Links) -> Option<TranscriptLine> {
    if entry.visitor_sequence <= 0 {
        return None;
    }
    let author = entry.author.unwrap_or_default();
    let content = match entry.content? {
        ProtoContent::Message(message) => Content::Message(self::message(message, author, visitor, links)),
        ProtoContent::AssigneeChanged(change) => {
            let agent = change.new_owner.filter(|owner| owner.kind() == ActorKind::Agent)?;
            Content::Joined { name: agent.name }
        }
        ProtoContent::Closed(closed) => {
            Content::Ended { visitor_inactive: closed.reason() == proto::CloseReason::VisitorInactive }
        }
        ProtoContent::Reopened(_) => Content::Reopened,
        // Only the team sees comments, links, tickets and sent transcripts (rule C7), and of an erased entry nothing is left.
        ProtoContent::Comment(_)
        | ProtoContent::ContactLinked(_)
        | ProtoContent::VisitorSignedIn(_)
        | ProtoContent::AddressLeft(_)
        | ProtoContent::HandedOff(_)
        | ProtoContent::TicketCreated(_)
        | ProtoContent::TicketUpdated(_)
        | ProtoContent::TranscriptSent(_)
        | ProtoContent::Erased(_)
        | ProtoContent::ContactErased(_) => return None,
    };
    Some(TranscriptLine { at: time(entry.create_time.as_ref()), content })
}

fn message(message: proto::Message, author: Actor, visitor: &VisitorName, links: &Links) -> Message {
    let (author, name) = match author.kind() {
        ActorKind::Visitor => match visitor {
            VisitorName::You => (Author::You, String::new()),
            VisitorName::Unknown => (Author::UnnamedVisitor, String::new()),
            VisitorName::Known(name) => (Author::Visitor, name.clone()),
        },
        ActorKind::Bot => (Author::Bot, author.name),
        // The system writes messages of the channel.
        ActorKind::Admin | ActorKind::System => (Author::Team, author.name),
        ActorKind::Agent | ActorKind::Unspecified => (Author::Agent, author.name),
    };
    Message {
        author,
        name,
        rich_text: message.rich_text.and_then(blocks).unwrap_or_default(),
        text: message.text,
        buttons: message.buttons.into_iter().map(|button| button.label).collect(),
        inserts: message.inserts.into_iter().map(insert).collect(),
        attachments: message.attachments.into_iter().map(|sent| attachment(sent, links)).collect(),
    }
}

/// None: a block is of a kind of a later release, and the plain text is shown.
fn blocks(text: proto::RichText) -> Option<Vec<Block>> {
    let block = |block: proto::RichTextBlock| match block.block? {
        ProtoBlock::Paragraph(line) => Some(Block::Paragraph(spans(line))),
        ProtoBlock::List(list) => {
            Some(Block::List { numbered: list.numbered, items: list.items.into_iter().map(spans).collect() })
        }
    };
    text.blocks.into_iter().map(block).collect()
}

fn spans(line: proto::RichTextLine) -> Vec<Span> {
    let span =
        |span: proto::RichTextSpan| Span { text: span.text, bold: span.bold, italic: span.italic, link: span.link_url };
    line.spans.into_iter().map(span).collect()
}

fn insert(sent: proto::SentInsert) -> Insert {
    let (url, content) = match sent.content {
        Some(ProtoInsert::Document(document)) => {
            (document.url, InsertContent::Document { file_name: document.file_name })
        }
        Some(ProtoInsert::Meeting(meeting)) => {
            (meeting.url, InsertContent::Meeting { minutes: meeting.duration_minutes })
        }
        Some(ProtoInsert::KnowledgeArticle(article)) => {
            (article.url, InsertContent::Article { summary: article.summary })
        }
        Some(ProtoInsert::Quote(quote)) => {
            let proto::Money { amount, currency_code } = quote.total.unwrap_or_default();
            let (number, expire_date) = (quote.number, quote.expire_date);
            (quote.url, InsertContent::Quote { number, amount, currency: currency_code, expire_date })
        }
        Some(ProtoInsert::Video(video)) => (video.source_url, InsertContent::Video),
        Some(ProtoInsert::Snippet(_)) | None => (String::new(), InsertContent::Text),
    };
    Insert { title: sent.title, url, plain_text: sent.plain_text, content }
}

fn attachment(sent: proto::SentAttachment, links: &Links) -> Attachment {
    let file = match links.get(&sent.attachment_id).map(String::as_str) {
        None => File::Removed,
        Some("") => File::NotLinked,
        Some(url) => File::Link(url.to_owned()),
    };
    Attachment {
        id: sent.attachment_id,
        file_name: sent.file_name,
        media_type: sent.media_type,
        bytes: sent.size_bytes,
        file,
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    text.parse().ok()
}

fn time(time: Option<&prost_types::Timestamp>) -> Time {
    time.map_or(Time(0), Time::from_proto)
}

/// Returns the error of a failed call: NOT_FOUND is final, any other failure is transient.
fn call_error(what: &'static str, status: &Status) -> CallError {
    match status.code() {
        Code::NotFound => CallError::NotFound(what),
        code => CallError::Unavailable(format!("{what}: {code:?}: {}", status.message())),
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
