//! A closed chat of a fake conversation service.

use std::sync::{Arc, Mutex};

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::{
        internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse},
        v1::{
            Channel, Contact, ContactEmail, Conversation, ConversationStatus, Entry, GetChannelRequest,
            GetChannelResponse, GetContactRequest, GetContactResponse, GetConversationRequest, GetConversationResponse,
            ListEntriesRequest, ListEntriesResponse, Message, entry::Content,
        },
    },
    event::v1::ConversationClosed,
    notification::v1::{
        Delivery, DeliveryStatus, ExplainTranscriptRequest, ExplainTranscriptResponse, PreviewTranscriptRequest,
        PreviewTranscriptResponse, SendTranscriptRequest, TranscriptDecision, TranscriptPart,
    },
};
use frontdesk_testkit::{FakeServices, Mode, new_id, request_id, wait_for};
use mail_parser::MessageParser;
use prost::Message as _;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::fixture::{ADDRESS, Account, Fixture};

/// What the fake conversation service answers.
#[derive(Default)]
pub struct Answers {
    /// The account that has the conversation.
    pub account: String,
    pub conversation: Conversation,
    pub channel: Channel,
    pub contacts: Vec<Contact>,
    /// The facts of each close; the last ones are also those of a close now.
    pub facts: Vec<GetClosingFactsResponse>,
    pub entries: Vec<Entry>,
    /// Size of the largest page that was requested.
    pub largest_page: i32,
}

/// An account with a verified fallback sender and a closed chat between the visitor Vera and the agent Ada.
pub struct Chat {
    pub fixture: Fixture,
    pub answers: Arc<Mutex<Answers>>,
    pub id: Uuid,
    pub contact: Uuid,
}

impl Chat {
    pub async fn closed(mode: Mode) -> Self {
        Self::closed_with(mode, NotificationSettings::default()).await
    }

    pub async fn closed_with(mode: Mode, settings: NotificationSettings) -> Self {
        let to_folder = settings.smtp.host.is_empty();
        let fixture = Fixture::start_with(mode, settings).await;
        if to_folder {
            fixture.verified_fallback(ADDRESS).await;
        } else {
            fixture.unmailed_fallback().await;
        }
        let (id, contact) = (new_id(), new_id());
        let answers = Answers {
            account: fixture.account.id.to_string(),
            conversation: Conversation {
                id: id.to_string(),
                channel_id: new_id().to_string(),
                contact_id: contact.to_string(),
                status: ConversationStatus::Closed.into(),
                close_number: 1,
                last_sequence: 7,
                ..Conversation::default()
            },
            channel: Channel { name: "Acme".into(), ..Channel::default() },
            contacts: vec![self::contact(contact, "Vera", &["first@vera.example", "second@vera.example"])],
            facts: vec![facts(contact, "second@vera.example")],
            entries: vec![said(1, ActorKind::Visitor, "", "Hello"), said(2, ActorKind::Agent, "Ada", "Hi")],
            largest_page: 0,
        };
        let answers = Arc::new(Mutex::new(answers));
        serve(&fixture.service.fake, &answers);
        Self { fixture, answers, id, contact }
    }

    pub fn account(&self) -> &Account {
        &self.fixture.account
    }

    /// Changes what the conversation service answers.
    pub fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    /// The event of the first close.
    pub fn closed_event(&self) -> ConversationClosed {
        closed_event(self.id, 1, self.contact)
    }

    /// Publishes the event of the first close and waits for its decision.
    pub async fn decide(&self) -> ExplainTranscriptResponse {
        self.fixture.service.publish("conversation", self.account().id, &self.closed_event()).await;
        wait_for("the decision of the close", || async { self.explain(1).await.ok() }).await
    }

    /// Publishes the event of the first close and waits until its delivery has a status.
    pub async fn deliver_until(&self, status: DeliveryStatus) -> Delivery {
        let delivery = self.decide().await.delivery.unwrap();
        self.account().wait_for_status(&delivery.id, status).await
    }

    pub async fn explain(&self, close_number: i32) -> Result<ExplainTranscriptResponse, Status> {
        let request = ExplainTranscriptRequest { conversation_id: self.id.to_string(), close_number, forecast: false };
        Ok(self.account().transcripts().explain_transcript(request).await?.into_inner())
    }

    /// Previews a part from this byte on.
    pub async fn preview(&self, part: TranscriptPart, offset: usize) -> Result<PreviewTranscriptResponse, Status> {
        let request = PreviewTranscriptRequest {
            conversation_id: self.id.to_string(),
            part: part.into(),
            offset: offset.try_into().unwrap(),
            ..PreviewTranscriptRequest::default()
        };
        Ok(self.account().transcripts().preview_transcript(request).await?.into_inner())
    }

    /// The decision of a preview.
    pub async fn previewed_decision(&self) -> TranscriptDecision {
        self.preview(TranscriptPart::Unspecified, 0).await.unwrap().decision.unwrap()
    }

    /// A whole part, read to its end by offsets.
    pub async fn previewed_part(&self, part: TranscriptPart) -> String {
        let mut content = Vec::new();
        loop {
            let response = self.preview(part, content.len()).await.unwrap();
            assert!(response.content.len() <= 1024 * 1024, "{}", response.content.len());
            content.extend(response.content);
            if content.len() == usize::try_from(response.total_size).unwrap() {
                return String::from_utf8(content).unwrap();
            }
        }
    }

    /// A request to send the transcript to a contact.
    pub fn send_request(&self, contact: Uuid) -> SendTranscriptRequest {
        SendTranscriptRequest {
            conversation_id: self.id.to_string(),
            contact_id: contact.to_string(),
            request_id: request_id(),
            ..SendTranscriptRequest::default()
        }
    }

    pub async fn send(&self, request: SendTranscriptRequest) -> Result<Delivery, Status> {
        Ok(self.account().transcripts().send_transcript(request).await?.into_inner().delivery.unwrap())
    }

    /// Recipient and text of the mail of a delivery.
    pub fn recipient_and_text(&self, delivery: &str) -> (String, String) {
        recipient_and_text(&self.fixture.mail(delivery))
    }
}

fn serve(fake: &FakeServices, answers: &Arc<Mutex<Answers>>) {
    let known = answers.clone();
    fake.on(move |request: Request<GetConversationRequest>| {
        let known = known.lock().unwrap();
        let account = request.metadata().get("x-frontdesk-account").and_then(|account| account.to_str().ok());
        if account != Some(known.account.as_str()) {
            return Err(Status::not_found("another account"));
        }
        Ok(GetConversationResponse { conversation: Some(known.conversation.clone()) })
    });
    let known = answers.clone();
    fake.on(move |request: Request<GetClosingFactsRequest>| {
        let known = known.lock().unwrap();
        let number = usize::try_from(request.get_ref().close_number).unwrap();
        let facts = if number == 0 { known.facts.last() } else { known.facts.get(number - 1) };
        facts.cloned().ok_or_else(|| Status::not_found("no such close"))
    });
    let known = answers.clone();
    fake.on(move |_: Request<GetChannelRequest>| {
        Ok(GetChannelResponse { channel: Some(known.lock().unwrap().channel.clone()) })
    });
    let known = answers.clone();
    fake.on(move |request: Request<GetContactRequest>| {
        let known = known.lock().unwrap();
        let contact = known.contacts.iter().find(|contact| contact.id == request.get_ref().contact_id).cloned();
        contact.map(|contact| GetContactResponse { contact: Some(contact) }).ok_or_else(|| Status::not_found("none"))
    });
    let known = answers.clone();
    fake.on(move |request: Request<ListEntriesRequest>| {
        let mut known = known.lock().unwrap();
        let request = request.get_ref();
        known.largest_page = known.largest_page.max(request.page_size);
        let until = if request.until_sequence == 0 { i32::MAX } else { request.until_sequence };
        let in_range = |entry: &&Entry| entry.sequence > request.after_sequence && entry.sequence <= until;
        let rest: Vec<&Entry> = known.entries.iter().filter(in_range).collect();
        let mut bytes = 0;
        let fits = |entry: &&&Entry| {
            bytes += entry.encoded_len();
            bytes <= 1024 * 1024
        };
        let size = usize::try_from(request.page_size).unwrap();
        let entries: Vec<Entry> = rest.iter().take(size).take_while(fits).copied().cloned().collect();
        Ok(ListEntriesResponse { has_more: rest.len() > entries.len(), entries })
    });
}

/// The event of a close of a chat with a person, whose contact has a verified address.
pub fn closed_event(conversation: Uuid, close_number: i32, contact: Uuid) -> ConversationClosed {
    ConversationClosed {
        conversation_id: conversation.to_string(),
        close_number,
        channel_id: new_id().to_string(),
        contact_id: contact.to_string(),
        transcript_enabled: true,
        had_agent: true,
        email_usable: true,
        email_verified: true,
        last_sequence: 7,
        ..ConversationClosed::default()
    }
}

/// The facts of a close of a chat with a person.
pub fn facts(contact: Uuid, recipient: &str) -> GetClosingFactsResponse {
    GetClosingFactsResponse {
        contact_id: contact.to_string(),
        recipient_email: recipient.into(),
        recipient_verified: true,
        had_agent: true,
        transcript_enabled: true,
        last_sequence: 7,
        visitor_name: "Vera".into(),
        ..GetClosingFactsResponse::default()
    }
}

pub fn contact(id: Uuid, name: &str, addresses: &[&str]) -> Contact {
    let emails = addresses.iter().map(|address| ContactEmail { email: (*address).into(), verified: true }).collect();
    Contact { id: id.to_string(), name: name.into(), emails, ..Contact::default() }
}

/// A message that the visitor saw.
pub fn said(sequence: i32, kind: ActorKind, name: &str, text: &str) -> Entry {
    Entry {
        sequence,
        visitor_sequence: sequence,
        author: Some(Actor { kind: kind.into(), id: String::new(), name: name.into() }),
        content: Some(Content::Message(Message { text: text.into(), ..Message::default() })),
        ..Entry::default()
    }
}

pub fn recipient_and_text(mail: &str) -> (String, String) {
    let mail = MessageParser::default().parse(mail).unwrap();
    let recipient = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
    (recipient, mail.body_text(0).unwrap().into_owned())
}
