//! Responses fit into the 4 MiB that gRPC clients accept by default, whatever an account stores.

use std::collections::BTreeMap;

use frontdesk_proto::{
    auth::v1::Principal,
    botsession::v1::{
        AskStep, Bot, CloseStep, CreateBotRequest, Flow, Step, bot_service_client::BotServiceClient, step::Action,
    },
    conversation::v1::{
        ChatEntry, CloseConversationRequest, Contact, CreateContactRequest, PostMessageRequest, StartChatRequest,
        WatchChatRequest, contact_service_client::ContactServiceClient,
        conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{
        PreviewTranscriptRequest, SendTranscriptRequest, TranscriptPart,
        transcript_service_client::TranscriptServiceClient,
    },
};
use frontdesk_tests::{
    Account, Chat, TestSuite, call_raw,
    fixture::{Declared, Fixture, methods},
    next_chat_entry, request_id, wait_for,
};
use futures::{StreamExt, stream};
use prost_reflect::{DynamicMessage, Value, prost::Message};

/// What a client accepts by default (bytes).
const CLIENT_LIMIT: usize = 4 << 20;
/// The size at which pages of large resources end (bytes).
const PAGE: usize = 1 << 20;
/// A character that takes four bytes.
const WIDE: &str = "💥";

/// Contacts with as many properties as the contract allows: 64 KiB each, together more than a client accepts.
async fn large_contacts(account: &Account, count: usize) -> Vec<Contact> {
    let value = WIDE.repeat(320);
    let properties: BTreeMap<String, String> =
        (0..50).map(|number| (format!("property_{number:02}"), value.clone())).collect();
    let create = (0..count).map(|_| {
        let request =
            CreateContactRequest { properties: properties.clone(), request_id: request_id(), ..Default::default() };
        let mut contacts = ContactServiceClient::new(account.admin());
        async move { contacts.create_contact(request).await.unwrap().into_inner().contact.unwrap() }
    });
    stream::iter(create).buffer_unordered(8).collect().await
}

/// A bot whose flow is about as large as a request may be.
async fn large_bot(account: &Account) -> Bot {
    let text = WIDE.repeat(2_000);
    let ask = |number: usize| AskStep {
        text: text.clone(),
        property: format!("property_{number}"),
        retry_text: text.clone(),
        ..Default::default()
    };
    let step = |id: String, action| Step { id, action: Some(action), ..Default::default() };
    let asks = (0..63).map(|number| step(format!("step-{number}"), Action::Ask(ask(number))));
    let end = step("end".into(), Action::Close(CloseStep::default()));
    let bot = CreateBotRequest {
        name: WIDE.repeat(200),
        flow: Some(Flow { steps: asks.chain([end]).collect() }),
        request_id: request_id(),
        ..Default::default()
    };
    BotServiceClient::new(account.admin()).create_bot(bot).await.unwrap().into_inner().bot.unwrap()
}

/// A start of a chat with a page and properties as large as the contract allows.
fn large_start(channel: &str, text: &str) -> StartChatRequest {
    let properties = (0..8).map(|number| (format!("property_{number}"), WIDE.repeat(120))).collect();
    StartChatRequest {
        channel_id: channel.to_owned(),
        page_url: format!("https://shop.example/{}", "p".repeat(1_900)),
        page_title: WIDE.repeat(300),
        text: text.to_owned(),
        language: "pt-BR".into(),
        time_zone: "Europe/Rome".into(),
        properties,
        request_id: request_id(),
    }
}

/// More chats than one page of the inbox has.
async fn many_chats(account: &Account, channel: &str, count: usize) {
    let text = WIDE.repeat(1_000);
    let starts = (0..count).map(|number| {
        let mut visitor = VisitorServiceClient::new(account.visitor(&format!("many{number}")));
        let start = large_start(channel, &text);
        async move { visitor.start_chat(start).await.unwrap() }
    });
    stream::iter(starts).buffer_unordered(8).for_each(async |_| {}).await;
}

/// A chat of the fixture's visitor whose messages together are larger than a client accepts.
async fn long_chat(fixture: &Fixture, channel: &str, messages: usize) -> Chat {
    let visitor = fixture.caller(Principal::Visitor);
    let start = large_start(channel, "hello");
    let chat = VisitorServiceClient::new(visitor.clone()).start_chat(start).await.unwrap().into_inner().chat.unwrap();
    let chat = Chat { visitor, id: chat.id };
    let text = WIDE.repeat(10_000);
    for _ in 0..messages {
        chat.say(&text).await.unwrap();
    }
    chat
}

/// Reads all pages; returns the number of rows and the size of the largest page.
async fn read_pages(fixture: &Fixture, declared: &Declared, principal: Principal) -> (usize, usize) {
    let mut request = fixture.smallest_request(declared, principal).await;
    request.set_field_by_name("page_size", Value::I32(i32::MAX));
    let (mut rows, mut largest) = (0, 0);
    loop {
        let message = fixture.call(principal, &request.encode_to_vec());
        let page = call_raw(&fixture.caller(principal), &declared.path, message).await;
        let page = page.unwrap_or_else(|status| panic!("{}: {status:?}", declared.path));
        largest = largest.max(page.len());
        let page = DynamicMessage::decode(declared.method.output(), page.as_slice()).unwrap();
        let list = page.fields().find_map(|(_, value)| value.as_list().map(<[Value]>::to_vec)).unwrap_or_default();
        rows += list.len();
        let next = page.get_field_by_name("next_page_token").map(|token| token.as_str().unwrap().to_owned());
        let more = page.get_field_by_name("has_more").is_some_and(|more| more.as_bool().unwrap());
        if let Some(token) = next.filter(|token| !token.is_empty()) {
            request.set_field_by_name("page_token", Value::String(token));
        } else if more {
            // The next page begins after the last number.
            let after = declared.method.input().fields().find(|field| field.name().starts_with("after_")).unwrap();
            let last = list.last().and_then(Value::as_message).unwrap();
            let number = last.get_field_by_name(after.name().trim_start_matches("after_")).unwrap().into_owned();
            request.set_field(&after, number);
        } else {
            return (rows, largest);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c9_no_response_is_larger_than_a_client_accepts_by_default() {
    const CONTACTS: usize = 66;
    const CHATS: usize = 205;
    const MESSAGES: usize = 106;
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let mut fixture = Fixture::new(account, "ourword").await;
    let (account, agent) = (fixture.account.clone(), fixture.agent.clone());
    let channel = account.channel(None).await;
    let contacts = large_contacts(&account, CONTACTS).await;
    let bot = large_bot(&account).await;
    many_chats(&account, &channel, CHATS).await;
    let chat = long_chat(&fixture, &channel, MESSAGES).await;
    for (name, id) in
        [("contact_id", &contacts[0].id), ("bot_id", &bot.id), ("chat_id", &chat.id), ("conversation_id", &chat.id)]
    {
        fixture.ids.insert(name, id.clone());
    }

    let mut sizes = BTreeMap::new();
    for declared in methods() {
        let name = declared.method.name();
        if !["Get", "List"].iter().any(|word| name.starts_with(word)) || name == "GetClosingFacts" {
            continue;
        }
        let principal =
            if declared.principals.contains(&Principal::Agent) { Principal::Agent } else { declared.principals[0] };
        let (rows, largest) = read_pages(&fixture, &declared, principal).await;
        assert!(largest <= CLIENT_LIMIT, "{name} answers with {largest} bytes");
        sizes.insert(name.to_owned(), (rows, largest));
    }
    println!("rows and the largest response in bytes: {sizes:?}");
    // The fixture is large enough to show it, and pages of large resources end early.
    let (rows, largest) = sizes["ListContacts"];
    assert!(rows >= CONTACTS && contacts[0].encoded_len() * CONTACTS > CLIENT_LIMIT);
    assert!(largest <= PAGE + contacts[0].encoded_len(), "{largest}");
    for name in ["ListEntries", "ListChatEntries"] {
        assert!(sizes[name].0 > MESSAGES && sizes[name].1 <= PAGE + 64 * 1024, "{name}: {:?}", sizes[name]);
    }
    assert!(sizes["ListConversations"].0 > CHATS);
    assert!(sizes["GetBot"].1 > PAGE * 9 / 10, "the flow of GetBot is large: {:?}", sizes["GetBot"]);
    assert!(sizes["ListBots"].1 < PAGE / 10, "lists of bots have no flows: {:?}", sizes["ListBots"]);

    // A watch sends the whole thread, one entry in a message.
    let watch = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
    let mut watched = VisitorServiceClient::new(chat.visitor.clone()).watch_chat(watch).await.unwrap().into_inner();
    let mut entries: Vec<ChatEntry> = Vec::new();
    while entries.len() <= MESSAGES {
        entries.push(next_chat_entry(&mut watched).await.unwrap().unwrap());
    }

    // A large transcript is previewed in parts, and its mail is listed without its content.
    let mut threads = ThreadServiceClient::new(agent.clone());
    let reply = PostMessageRequest {
        conversation_id: chat.id.clone(),
        text: "hello".into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_message(reply).await.unwrap();
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    let mut transcripts = TranscriptServiceClient::new(agent.clone());
    let mut preview = async |part: TranscriptPart, offset: i32| {
        let conversation_id = chat.id.clone();
        let request = PreviewTranscriptRequest { conversation_id, part: part.into(), offset, ..Default::default() };
        transcripts.preview_transcript(request).await.unwrap().into_inner()
    };
    for part in [TranscriptPart::Html, TranscriptPart::Text, TranscriptPart::Mail, TranscriptPart::Json] {
        let first = preview(part, 0).await;
        assert_eq!(first.content.len(), PAGE, "{part:?}");
        assert!(usize::try_from(first.total_size).unwrap() > CLIENT_LIMIT, "{part:?}: {}", first.total_size);
    }
    let size = preview(TranscriptPart::Text, 0).await.total_size;
    assert_eq!(preview(TranscriptPart::Text, size - 10).await.content.len(), 10);
    // The contact has a ticket, so that no transcript is sent automatically.
    let send = SendTranscriptRequest {
        contact_id: Account::conversation(&agent, &chat.id).await.contact_id,
        conversation_id: chat.id,
        request_id: request_id(),
        ..Default::default()
    };
    transcripts.send_transcript(send).await.unwrap();
    let mail = wait_for("the large mail", || async {
        let mails = account.mails(&fixture.address()).await;
        mails.into_iter().find(|mail| mail.content.is_empty())
    })
    .await;
    assert!(std::fs::metadata(&mail.path).unwrap().len() > PAGE as u64);
}
