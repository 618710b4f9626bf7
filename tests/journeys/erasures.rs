//! The export and the erasure of a contact: of a chat that was played with one word in every place, the file of an export has the word of each
//! place, and no byte of the word is left after an erasure.

use std::{path::Path, time::Duration};

use frontdesk::{Service, connect_databases};
use frontdesk_auth::CallerKind;
use frontdesk_db::Db;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        CloseConversationRequest, ContactJob, ContactJobStatus, CreateChatAttachmentRequest,
        CreateContactExportLinkRequest, CreateTicketRequest, EraseContactRequest, ExportContactRequest,
        GetContactJobRequest, GetContactRequest, LeaveAddressRequest, PostCommentRequest, PostMessageRequest,
        RequestAddressCodeRequest, SendMessageRequest, StartChatRequest, UpdateContactRequest, UpdateTicketRequest,
        contact_job_service_client::ContactJobServiceClient, contact_service_client::ContactServiceClient,
        conversation_service_client::ConversationServiceClient, entry::Content,
        thread_service_client::ThreadServiceClient, ticket_service_client::TicketServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{SendTranscriptRequest, transcript_service_client::TranscriptServiceClient},
};
use frontdesk_tests::{Account, As, Chat, TestSuite, download, epoch_of, request_id, upload, wait_for};
use sea_orm::{ConnectionTrait, Statement};
use tonic::Code;

use crate::engines::create_bot;

pub(crate) const WORD: &str = "canary";

/// Where the word is, in any case: in the files of the data folder, and in the rows of PostgreSQL. The mailbox folder is left out: it
/// stands for the mailboxes of recipients, which no erasure reaches.
pub(crate) async fn places(suite: &TestSuite, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![suite.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if path.is_dir() {
                folders.extend((!path.ends_with("mailbox")).then_some(path));
            } else if holds(&path, word) {
                found.push(path.display().to_string());
            }
        }
    }
    for (service, db) in connect_databases(&suite.settings, &Service::ALL, &suite.clock).await.unwrap() {
        if !db.is_sqlite() {
            found.extend(tables(&db, word).await.into_iter().map(|table| format!("{service:?}.{table}")));
        }
    }
    found
}

fn holds(file: &Path, word: &str) -> bool {
    // A file that SQLite removed meanwhile has nothing.
    let bytes = std::fs::read(file).unwrap_or_default().to_ascii_lowercase();
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

/// The tables with rows that have the word, as a text or as bytes.
async fn tables(db: &Db, word: &str) -> Vec<String> {
    let query = async |sql: String| {
        let rows = db.read().query_all_raw(Statement::from_string(db.read().get_database_backend(), sql)).await;
        rows.unwrap().iter().map(|row| row.try_get::<String>("", "value").unwrap()).collect::<Vec<_>>()
    };
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    let words = [word.to_owned(), hex(word), hex(&capital)];
    let all = "SELECT quote_ident(tablename) AS value FROM pg_tables WHERE schemaname = current_schema()";
    let mut found = Vec::new();
    for table in query(all.to_owned()).await {
        let rows = query(format!("SELECT lower(one::text) AS value FROM {table} one")).await;
        if rows.iter().any(|row| words.iter().any(|word| row.contains(word.as_str()))) {
            found.push(table);
        }
    }
    found
}

/// A chat with the word in every place: begun by the bot, taken over by the agent, and closed, so that a mail is composed.
pub(crate) async fn play(account: &Account, agent: &As, channel: &str) -> Chat {
    let visitor = account.with_claims(CallerKind::Visitor, "v", |claims| {
        (claims.name, claims.email) = (Some("Canary Vera".into()), Some("canary.token@x.example".into()));
    });
    let mut chats = VisitorServiceClient::new(visitor.clone());
    let start = StartChatRequest {
        channel_id: channel.to_owned(),
        page_url: "https://shop.example/canary".into(),
        page_title: "Canary page".into(),
        properties: [("order".to_owned(), "Canary 42".to_owned())].into(),
        request_id: request_id(),
        ..Default::default()
    };
    let id = chats.start_chat(start).await.unwrap().into_inner().chat.unwrap().id;
    let chat = Chat { visitor, id: id.clone() };
    chat.until_text("Your address?").await;
    chat.say("canary.typed@x.example").await.unwrap();
    chat.until_text("Which?").await;
    let take = TakeOverConversationRequest {
        conversation_id: id.clone(),
        expected_epoch: epoch_of(agent, &id).await,
        request_id: request_id(),
    };
    AssignmentServiceClient::new(agent.clone()).take_over_conversation(take).await.unwrap();

    let file = CreateChatAttachmentRequest {
        chat_id: id.clone(),
        file_name: "canary-file.txt".into(),
        size_bytes: 12,
        request_id: request_id(),
        ..Default::default()
    };
    let file = chats.create_chat_attachment(file).await.unwrap().into_inner();
    upload(&file.upload.unwrap(), b"canary bytes").await;
    let send = SendMessageRequest {
        chat_id: id.clone(),
        text: "Canary question".into(),
        attachment_ids: vec![file.attachment.unwrap().id],
        request_id: request_id(),
    };
    chats.send_message(send).await.unwrap();
    let mut threads = ThreadServiceClient::new(agent.clone());
    let comment = PostCommentRequest {
        conversation_id: id.clone(),
        text: "Canary comment".into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_comment(comment).await.unwrap();
    let answer = PostMessageRequest {
        conversation_id: id.clone(),
        text: "Canary answer".into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_message(answer).await.unwrap();

    let mut tickets = TicketServiceClient::new(agent.clone());
    let ticket = CreateTicketRequest {
        conversation_id: id.clone(),
        subject: "Canary subject".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let ticket = tickets.create_ticket(ticket).await.unwrap().into_inner().ticket.unwrap();
    let renamed = UpdateTicketRequest {
        ticket_id: ticket.id,
        subject: Some("Another canary".into()),
        url: Some("https://help.example/canary".into()),
        ..Default::default()
    };
    tickets.update_ticket(renamed).await.unwrap();
    let contact = UpdateContactRequest {
        contact_id: Account::conversation(agent, &id).await.contact_id,
        phone: Some("+39 canary".into()),
        external_id: Some("canary:7".into()),
        ..Default::default()
    };
    ContactServiceClient::new(agent.clone()).update_contact(contact).await.unwrap();
    let close = CloseConversationRequest { conversation_id: id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    // By hand: a chat with a ticket is not mailed by itself.
    let contact_id = Account::conversation(agent, &id).await.contact_id;
    let send = SendTranscriptRequest {
        conversation_id: id.clone(),
        contact_id,
        subject: "Canary mail".into(),
        request_id: request_id(),
        ..Default::default()
    };
    TranscriptServiceClient::new(agent.clone()).send_transcript(send).await.unwrap();
    wait_for("the mail", || async { account.mails("canary.token@x.example").await.pop() }).await;
    chat
}

/// Another chat of the same person, which is open: a message waits for a program that is not connected, and a code was mailed.
async fn play_open(account: &Account, visitor: &As) {
    let program = create_bot(account, None).await;
    let channel = account.channel(Some(&program)).await;
    let chat = account.start_chat(visitor.clone(), &channel).await;
    chat.say("Canary to a program").await.unwrap();
    let (mut chats, email) = (VisitorServiceClient::new(visitor.clone()), "canary.left@x.example");
    let leave = LeaveAddressRequest { chat_id: chat.id.clone(), email: email.into(), request_id: request_id() };
    chats.leave_address(leave).await.unwrap();
    let ask = RequestAddressCodeRequest { chat_id: chat.id, email: email.into(), request_id: request_id() };
    chats.request_address_code(ask).await.unwrap();
    wait_for("the code", || async { account.mails(email).await.pop() }).await;
}

/// Waits until `holds` is true of the job.
async fn job(account: &Account, id: &str, holds: impl Fn(&ContactJob) -> bool) -> ContactJob {
    wait_for("the job", || async {
        let request = GetContactJobRequest { contact_job_id: id.to_owned() };
        let answer = ContactJobServiceClient::new(account.admin()).get_contact_job(request).await.ok()?;
        answer.into_inner().contact_job.filter(&holds)
    })
    .await
}

/// Exports the contact. Returns the text of the file.
async fn exported(account: &Account, contact_id: &str) -> String {
    let mut jobs = ContactJobServiceClient::new(account.admin());
    let request = ExportContactRequest { contact_id: contact_id.to_owned(), request_id: request_id() };
    let id = jobs.export_contact(request).await.unwrap().into_inner().contact_job.unwrap().id;
    job(account, &id, |job| job.status() == ContactJobStatus::Done).await;
    let link = CreateContactExportLinkRequest { contact_job_id: id };
    let url = jobs.create_contact_export_link(link).await.unwrap().into_inner().url;
    String::from_utf8(download(&url).await).unwrap()
}

/// The texts that [`play`] puts in places of the person, one for each place.
pub(crate) const PLANTED: [&str; 16] = [
    "Canary Vera",
    "canary.token@x.example",
    "https://shop.example/canary",
    "Canary page",
    "Canary 42",
    "canary.typed@x.example",
    "canary-file.txt",
    "Canary question",
    "Canary comment",
    "Canary answer",
    "Canary subject",
    "Another canary",
    "https://help.example/canary",
    "+39 canary",
    "canary:7",
    "Canary mail",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_an_export_has_each_text_of_the_person_and_none_of_another() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let bystander = account.start_chat(account.known_visitor("w", "sparrow@x.example"), &channel).await;
    bystander.say("Sparrow text").await.unwrap();
    let chat = play(&account, &agent, &channel).await;
    let contact_id = Account::conversation(&agent, &chat.id).await.contact_id;
    suite.settled().await;

    let text = exported(&account, &contact_id).await;
    let missing: Vec<_> = PLANTED.iter().filter(|planted| !text.contains(**planted)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {text}");
    assert!(!text.to_lowercase().contains("sparrow"), "{text}");
    for record in ["assignment", "bot_session", "transcript_decision", "delivery"] {
        assert!(text.contains(&format!("\"record\":\"{record}\"")), "no {record} in {text}");
    }
    let of_bystander = Account::conversation(&agent, &bystander.id).await.contact_id;
    let text = exported(&account, &of_bystander).await;
    assert!(text.contains("Sparrow text") && !text.to_lowercase().contains(WORD), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_c14_after_an_erasure_no_byte_of_the_person_is_left() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let bystander = account.start_chat(account.known_visitor("w", "sparrow@x.example"), &channel).await;
    bystander.say("Sparrow text").await.unwrap();
    let chat = play(&account, &agent, &channel).await;
    play_open(&account, &chat.visitor).await;
    let contact_id = Account::conversation(&agent, &chat.id).await.contact_id;
    let before = Account::thread(&agent, &chat.id).await;
    suite.settled().await;
    // The file of an export is erased with the contact.
    exported(&account, &contact_id).await;
    let was = places(&suite, WORD).await;
    println!("before the erasure: {was:?}");
    assert!(was.len() > 1, "the search finds the word: {was:?}");

    let erase = EraseContactRequest { contact_id: contact_id.clone(), request_id: request_id() };
    let erased = ContactJobServiceClient::new(account.admin()).erase_contact(erase).await.unwrap().into_inner();
    let id = erased.contact_job.unwrap().id;
    job(&account, &id, |job| job.missing_services.is_empty()).await;
    // What a reader had read before is given to no other reader any more.
    suite.advance(Duration::from_secs(13));
    job(&account, &id, |job| job.status() == ContactJobStatus::Done).await;
    suite.settled().await;
    assert_eq!(places(&suite, WORD).await, Vec::<String>::new());
    assert!(!places(&suite, "sparrow").await.is_empty(), "another person's chat stays");
    assert!(!account.mails("canary.token@x.example").await.is_empty(), "a mailbox is out of reach");

    let after = Account::thread(&agent, &chat.id).await;
    let sequences = |thread: &[frontdesk_proto::conversation::v1::Entry]| {
        thread.iter().map(|entry| (entry.sequence, entry.create_time)).collect::<Vec<_>>()
    };
    // The mail's own entry may have come since.
    assert_eq!(sequences(&after)[..before.len()], sequences(&before)[..]);
    assert!(after.iter().any(|entry| matches!(entry.content, Some(Content::ContactErased(_)))), "{after:?}");
    let gone = ContactServiceClient::new(agent).get_contact(GetContactRequest { contact_id }).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}
