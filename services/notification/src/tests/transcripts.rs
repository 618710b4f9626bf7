use frontdesk_auth::CallerKind;
use frontdesk_bus::{Consumer, Outcome};
use frontdesk_proto::conversation::v1::{
    Actor, ActorKind, Channel, Contact, ContactEmail, Conversation, ConversationStatus, Entry, GetClosingFactsResponse,
    Message, entry::Content,
};
use mail_parser::MessageParser;
use uuid::Uuid;

use super::{Suite, closed_event, facts, fake::Fake, key};
use crate::{
    NotificationSettings,
    commands::{self, SendTranscript},
    consumers::DecideTranscripts,
    domain::{Facts, Sender, Skip, State},
    queries::{self, Preview, PreviewTranscript},
    store,
};

/// A suite with a verified fallback sender and one chat; whose contact is the suite's account id.
struct Chat {
    suite: Suite,
    fake: Fake,
    id: Uuid,
}

impl Chat {
    async fn closed(settings: NotificationSettings) -> Self {
        let fake = Fake::default();
        let suite = Suite::asking(&fake.serve().await, settings).await;
        let own = suite.account.to_string();
        {
            let mut known = fake.0.lock().unwrap();
            known.conversation = Conversation {
                channel_id: frontdesk_clock::testing::new_id().to_string(),
                contact_id: own.clone(),
                status: ConversationStatus::Closed.into(),
                close_number: 1,
                last_sequence: 7,
                ..Conversation::default()
            };
            known.channel = Channel { name: "Acme".into(), ..Channel::default() };
            known.contacts = vec![contact(&own, "Vera", &["first@vera.example", "second@vera.example"])];
            known.facts = vec![frozen(&own, "second@vera.example")];
            known.entries = vec![said(1, ActorKind::Visitor, "", "Hello"), said(2, ActorKind::Agent, "Ada", "Hi")];
        }
        verified_sender(&suite).await;
        Self { suite, fake, id: frontdesk_clock::testing::new_id() }
    }

    async fn decide(&self) {
        let event = closed_event(self.suite.account, self.id, 1, &facts());
        assert!(matches!(DecideTranscripts(self.suite.app.clone()).handle(&event).await, Outcome::Ack));
    }

    async fn until(&self, state: State) {
        self.suite.work_until(async || self.suite.deliveries().await[0].state == state).await;
    }

    async fn preview(&self) -> Preview {
        let query = PreviewTranscript { conversation: self.id, subject: String::new(), time_zone: String::new() };
        queries::preview_transcript(&self.suite.app, &self.suite.caller(CallerKind::Agent), query).await.unwrap()
    }
}

async fn verified_sender(suite: &Suite) {
    let now = suite.clock.now();
    let sender = Sender {
        id: frontdesk_clock::testing::new_id(),
        account_id: suite.account,
        address: "team@acme.example".into(),
        display_name: "Acme".into(),
        verified: true,
        fallback: true,
        code_hash: None,
        code_expires_at: now,
        code_tries: 0,
        created_at: now,
        deleted_at: None,
        version: 1,
    };
    let tx = suite.app.db.begin().await.unwrap();
    store::senders::insert(&tx, &sender).await.unwrap();
    tx.commit().await.unwrap();
}

fn contact(id: &str, name: &str, addresses: &[&str]) -> Contact {
    let emails = addresses.iter().map(|address| ContactEmail { address: (*address).into(), verified: true }).collect();
    Contact { id: id.into(), name: name.into(), emails, ..Contact::default() }
}

fn frozen(contact: &str, recipient: &str) -> GetClosingFactsResponse {
    GetClosingFactsResponse {
        contact_id: contact.into(),
        recipient: recipient.into(),
        recipient_verified: true,
        had_agent: true,
        transcript_enabled: true,
        last_sequence: 7,
        visitor_name: "Vera".into(),
        ..GetClosingFactsResponse::default()
    }
}

fn said(sequence: i64, kind: ActorKind, name: &str, text: &str) -> Entry {
    Entry {
        sequence,
        visitor_sequence: sequence,
        author: Some(Actor { kind: kind.into(), id: String::new(), name: name.into() }),
        content: Some(Content::Message(Message { text: text.into(), ..Message::default() })),
        ..Entry::default()
    }
}

fn to_and_text(mail: &str) -> (String, String) {
    let mail = MessageParser::default().parse(mail).unwrap();
    let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
    (to, mail.body_text(0).unwrap().into_owned())
}

#[tokio::test]
async fn t2_x1_a_transcript_goes_to_the_address_that_the_close_froze() {
    let chat = Chat::closed(NotificationSettings::default()).await;
    chat.decide().await;
    // What becomes known later changes nothing: neither another address nor another contact.
    {
        let mut known = chat.fake.0.lock().unwrap();
        known.facts.push(frozen(&frontdesk_clock::testing::new_id().to_string(), "eve@other.example"));
        known.conversation.contact_id = frontdesk_clock::testing::new_id().to_string();
    }
    chat.until(State::Sent).await;
    let (to, text) = to_and_text(&chat.suite.mailbox()[0]);
    assert_eq!(to, "second@vera.example");
    assert!(text.contains("Vera (visitor):") && text.contains("Ada (team):"), "{text}");
    assert!(text.contains("because you chatted with Acme"), "{text}");
    let delivery = &chat.suite.deliveries().await[0];
    assert_eq!((delivery.close_number, delivery.recipient.as_str()), (1, "second@vera.example"));
}

#[tokio::test]
async fn t2_without_a_frozen_address_it_fails_and_a_retry_does_not_find_another() {
    let chat = Chat::closed(NotificationSettings::default()).await;
    for recipient in ["", "odd%x@vera.example"] {
        chat.fake.0.lock().unwrap().facts[0].recipient = recipient.into();
        if recipient.is_empty() {
            chat.decide().await;
        } else {
            let (caller, id) = (chat.suite.caller(CallerKind::Agent), chat.suite.deliveries().await[0].id);
            commands::retry_delivery(&chat.suite.app, &caller, id).await.unwrap();
        }
        chat.until(State::Failed).await;
        assert!(chat.suite.deliveries().await[0].failure.contains("no address"), "{recipient}");
    }
    assert!(chat.suite.mailbox().is_empty());
}

#[tokio::test]
async fn t4_another_contact_reads_who_the_visitor_was() {
    let chat = Chat::closed(NotificationSettings::default()).await;
    let other = frontdesk_clock::testing::new_id();
    chat.fake.0.lock().unwrap().contacts.push(contact(&other.to_string(), "Otto", &["otto@other.example"]));
    let caller = chat.suite.caller(CallerKind::Agent);
    let send = async |number: &str| {
        let command = SendTranscript {
            conversation: chat.id,
            contact: other,
            email: String::new(),
            subject: String::new(),
            time_zone: String::new(),
        };
        let key = key(&caller, number, "");
        let id = commands::send_transcript(&chat.suite.app, &caller, &key, command).await.unwrap().id;
        chat.until(State::Sent).await;
        let folder = chat.suite.folder.path().join("mailbox").join(chat.suite.account.to_string());
        to_and_text(&std::fs::read_to_string(folder.join(format!("{id}.eml"))).unwrap())
    };
    let (to, text) = send("1").await;
    assert_eq!(to, "otto@other.example");
    assert!(text.contains("Vera (visitor):") && !text.contains("Otto"), "{text}");
    assert!(text.contains("because Acme sent you the transcript of a chat.") && !text.contains("Your chat"), "{text}");
    {
        let mut known = chat.fake.0.lock().unwrap();
        known.conversation.contact_id = String::new();
        known.facts.iter_mut().for_each(|facts| facts.visitor_name.clear());
    }
    let (_, text) = send("2").await;
    assert!(text.contains("] Visitor:") && !text.contains("You:"), "{text}");
}

#[tokio::test]
async fn t6_of_a_chat_too_long_for_a_mail_the_first_and_the_last_part_are_mailed() {
    const MESSAGES: i64 = 900;
    let settings = NotificationSettings { transcript_max_bytes: 300 * 1024, ..NotificationSettings::default() };
    let chat = Chat::closed(settings).await;
    chat.fake.0.lock().unwrap().entries = (1..=MESSAGES)
        .map(|number| said(number, ActorKind::Visitor, "", &format!("number {number}. {}", "<ü>".repeat(100))))
        .collect();
    chat.fake.0.lock().unwrap().facts[0].last_sequence = MESSAGES;
    let preview = chat.preview().await;
    let bytes = preview.html.len() + preview.text.len();
    assert!(bytes <= 300 * 1024 && bytes > 200 * 1024, "{bytes}");
    assert!(chat.fake.0.lock().unwrap().largest_page < 1_000);
    let shown = preview.text.matches("    number ").count();
    for part in [&preview.html, &preview.text] {
        assert!(part.contains("number 1.") && part.contains(&format!("number {MESSAGES}.")));
        assert!(part.contains(&format!("{} messages were left out here", 900 - shown)), "{shown}");
    }
    assert!(preview.html.contains(&format!("{MESSAGES} messages.")), "the whole chat is counted");
}

#[tokio::test]
async fn t9_the_preview_of_an_open_chat_foresees_what_a_close_would_bring() {
    let chat = Chat::closed(NotificationSettings::default()).await;
    {
        let mut known = chat.fake.0.lock().unwrap();
        known.conversation.status = ConversationStatus::Open.into();
        known.facts.push(frozen(&chat.suite.account.to_string(), "first@vera.example"));
    }
    let preview = chat.preview().await;
    assert_eq!((preview.decision.skip_reason, preview.decision.close_number), (None, 2));
    assert_eq!(to_and_text(std::str::from_utf8(&preview.mail).unwrap()).0, "first@vera.example");

    // A ticket of another conversation, which the thread does not tell.
    chat.fake.0.lock().unwrap().facts[1].had_ticket = true;
    assert_eq!(chat.preview().await.decision.skip_reason, Some(Skip::Ticket));

    chat.fake.0.lock().unwrap().facts[1].had_ticket = false;
    chat.fake.0.lock().unwrap().facts[1].recipient_verified = false;
    assert_eq!(chat.preview().await.decision.skip_reason, None);
    let unverified = Facts { address_verified: false, ..facts() };
    for _ in 0..5 {
        let event = closed_event(chat.suite.account, frontdesk_clock::testing::new_id(), 1, &unverified);
        assert!(matches!(DecideTranscripts(chat.suite.app.clone()).handle(&event).await, Outcome::Ack));
    }
    assert_eq!(chat.preview().await.decision.skip_reason, Some(Skip::UnverifiedLimit));
}
