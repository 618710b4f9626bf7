//! `StartChat`: rules C1, C2a, B1, E3.

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_proto::{
    conversation::v1::{ListChatsRequest, StartChatRequest, visitor_service_client::VisitorServiceClient},
    event::v1::ConversationStarted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use sea_orm::ConnectionTrait;
use tonic::Code;
use tonic_types::StatusExt;

use crate::fixture::{Fixture, ROBIN, start, twenty};

on_both_modes!(
    c1_c12_a_chat_starts_with_its_first_message_and_a_repeat_gets_the_same_answer,
    c1_a_chat_keeps_language_time_zone_and_properties_of_its_start,
    c1_what_a_browser_says_refuses_no_chat,
    c1_values_of_properties_are_cleaned_and_those_without_room_are_left_out,
    c1_the_address_and_title_of_a_page_are_taken_as_browsers_give_them,
    b1_a_chat_that_a_bot_greets_has_bot_session_and_timeout_from_the_first_commit,
    c2a_twenty_starts_at_once_make_one_chat,
    c4_a_first_message_of_white_space_is_refused_as_in_other_messages,
    e3_starting_after_a_close_makes_a_new_chat_that_points_to_the_one_before,
    s2_another_accounts_channel_does_not_exist,
);

async fn c1_c12_a_chat_starts_with_its_first_message_and_a_repeat_gets_the_same_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let request = StartChatRequest { text: "hello".into(), ..start(&channel.id) };
    let mut visitor = fixture.chats("v");
    let first = visitor.start_chat(request.clone()).await.unwrap().into_inner();
    assert_eq!(visitor.start_chat(request.clone()).await.unwrap().into_inner(), first);
    let (chat, entry) = (first.chat.clone().unwrap(), first.entry.clone().unwrap());
    assert_eq!((chat.open, chat.last_visitor_sequence, first.resumed), (true, 1, false));
    assert_eq!((entry.visitor_sequence, &entry.request_id), (1, &request.request_id));
    // Another start while it is open adds a message and starts nothing.
    let more = StartChatRequest { text: "more".into(), ..start(&channel.id) };
    let resumed = visitor.start_chat(more.clone()).await.unwrap().into_inner();
    assert_eq!((resumed.chat.as_ref().unwrap().id.as_str(), resumed.resumed), (chat.id.as_str(), true));
    assert_eq!(resumed.entry.as_ref().unwrap().visitor_sequence, 2);
    let silent = visitor.start_chat(start(&channel.id)).await.unwrap().into_inner();
    assert_eq!((silent.entry, silent.resumed), (None, true));
    // A late repeat gets the entry of its own request, and the chat as it is now.
    let again = visitor.start_chat(request).await.unwrap().into_inner();
    assert_eq!((again.entry, again.resumed), (first.entry, false));
    assert_eq!(again.chat.unwrap().last_visitor_sequence, 2);
    assert_eq!(visitor.start_chat(more).await.unwrap().into_inner(), resumed);
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);
}

fn with_context(channel: &str, order: &str) -> StartChatRequest {
    StartChatRequest {
        language: "pt-BR".into(),
        time_zone: "Europe/Rome".into(),
        properties: [("order_number".to_owned(), order.to_owned())].into(),
        ..start(channel)
    }
}

async fn c1_the_address_and_title_of_a_page_are_taken_as_browsers_give_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    // Values of `location.href`, which browsers leave as they are.
    let pages = [
        "https://shop.example/?utm_term={keyword}",
        "https://shop.example/search?color=red|blue",
        "https://shop.example/a|b",
        "https://shop.example/?q=`x`^2",
        "https://shop.example/p?a=b\\c#f{x}",
        "http://%60%7B%7D:%60%7B%7D@h/%60%7B%7D?`{}",
        "http://example.org/foo/bar#\\",
    ];
    for (index, page) in pages.iter().enumerate() {
        let visitor = format!("v{index}");
        let request = StartChatRequest { page_url: (*page).into(), ..start(&channel.id) };
        let chat = fixture.chats(&visitor).start_chat(request).await.unwrap().into_inner().chat.unwrap();
        assert_eq!(fixture.conversation(&chat.id).await.page_url, *page);
    }
    let long = StartChatRequest {
        page_url: format!("https://shop.example/page?state={}", "s".repeat(10_000)),
        page_title: "t".repeat(2_000),
        language: "en-US-u-hc-h12".into(),
        ..start(&channel.id)
    };
    let chat = fixture.chats("long").start_chat(long).await.unwrap().into_inner().chat.unwrap();
    let conversation = fixture.conversation(&chat.id).await;
    assert_eq!((conversation.page_url.as_str(), conversation.page_title.len()), ("https://shop.example/page", 300));
    let blank = StartChatRequest { page_url: "https://shop.example/a b".into(), ..start(&channel.id) };
    let refused = fixture.chats("blank").start_chat(blank).await.unwrap_err();
    assert!(refused.get_error_details().bad_request().unwrap().field_violations[0].description.contains("%20"));
}

async fn c1_a_chat_keeps_language_time_zone_and_properties_of_its_start(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut visitor = fixture.chats("v");
    let first = visitor.start_chat(with_context(&channel.id, "42")).await.unwrap().into_inner();
    let id = first.chat.unwrap().id;
    let other = StartChatRequest { language: "it".into(), ..with_context(&channel.id, "43") };
    assert!(visitor.start_chat(other).await.unwrap().into_inner().resumed);
    fixture.post(&id, "hello").await;
    let conversation = fixture.conversation(&id).await;
    assert_eq!((conversation.language.as_str(), conversation.time_zone.as_str()), ("pt-BR", "Europe/Rome"));
    assert_eq!(conversation.properties, with_context(&channel.id, "42").properties);
}

async fn c1_what_a_browser_says_refuses_no_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let context = |page_title: &str, language: &str, time_zone: &str| StartChatRequest {
        page_title: page_title.into(),
        language: language.into(),
        time_zone: time_zone.into(),
        ..start(&channel.id)
    };
    for (index, (request, stored)) in [
        (context("Shop\u{1} A\u{85}B\0", "en-US@posix", "Etc/Unknown"), ("Shop A B", "", "")),
        (context("\u{1}", "it_IT", "+02:00"), ("", "", "")),
        (context(" Shop\nB", "x-pig", "europe/rome"), ("Shop B", "", "")),
        (context(&"t".repeat(20_000), "und\0efined", "\0"), (&*"t".repeat(300), "", "")),
        (context("Shop", &"it-".repeat(300), &"x".repeat(900)), ("Shop", "", "")),
    ]
    .into_iter()
    .enumerate()
    {
        let chat = fixture.chats(&format!("v{index}")).start_chat(request).await.unwrap().into_inner().chat.unwrap();
        let conversation = fixture.conversation(&chat.id).await;
        let got = (conversation.page_title.as_str(), conversation.language.as_str(), conversation.time_zone.as_str());
        assert_eq!(got, stored);
    }
}

async fn c1_values_of_properties_are_cleaned_and_those_without_room_are_left_out(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut properties: BTreeMap<_, _> = (0..9).map(|n| (format!("property_{n}"), "x".repeat(600))).collect();
    properties.insert("a".into(), "one\u{1}\r\ntwo\0".into());
    let request = StartChatRequest { properties, ..start(&channel.id) };
    let chat = fixture.chats("v").start_chat(request).await.unwrap().into_inner().chat.unwrap();
    let stored = fixture.conversation(&chat.id).await.properties;
    assert_eq!(stored["a"], "one\ntwo");
    assert_eq!(
        stored.keys().skip(1).cloned().collect::<Vec<_>>(),
        (0..8).map(|n| format!("property_{n}")).collect::<Vec<_>>()
    );
    assert!(stored.values().skip(1).all(|value| value.len() == 500), "{stored:?}");

    let misnamed = [("orderNumber".to_owned(), "1".to_owned())].into();
    let misnamed = StartChatRequest { properties: misnamed, ..start(&channel.id) };
    let refused = fixture.chats("w").start_chat(misnamed).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_FIELDS");
}

async fn b1_a_chat_that_a_bot_greets_has_bot_session_and_timeout_from_the_first_commit(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let started = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!((started.bot_id, started.bot_session_id), (ROBIN.to_string(), chat.session));
    assert_eq!(started.inactivity_timeout.unwrap().seconds, 1_800);
    assert_eq!(fixture.conversation(&chat.id).await.assignee.unwrap().name, "Robin");
}

async fn c4_a_first_message_of_white_space_is_refused_as_in_other_messages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let blank = StartChatRequest { text: " \n".into(), ..start(&channel.id) };
    let refused = fixture.chats("v").start_chat(blank).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "text");
}

async fn c2a_twenty_starts_at_once_make_one_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    let started = twenty(|_| {
        let (mut visitor, request) = (fixture.chats("v"), start(&channel.id));
        async move { visitor.start_chat(request).await.unwrap().into_inner() }
    });
    let started = started.await;
    assert_eq!(started.iter().filter(|started| !started.resumed).count(), 1);
    let mut ids: Vec<_> = started.into_iter().map(|started| started.chat.unwrap().id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);
}

async fn e3_starting_after_a_close_makes_a_new_chat_that_points_to_the_one_before(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let first = fixture.chat_on(&channel, "v").await;
    crate::close_conversation::close(&fixture, &first.id).await;
    let second = fixture.chat_on(&channel, "v").await;
    assert_eq!((second.open, second.previous_chat_id), (true, first.id));
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut visitor = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    let refused = visitor.start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

/// Only PostgreSQL lets two calls wait for one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_c3_a_start_that_waited_for_the_chat_happens_after_what_it_waited_for() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let channel = fixture.bot_channel().await;
    let chat = fixture.chat_on(&channel, "v").await;
    let lock = fixture.service.db.begin().await.unwrap();
    lock.conn().execute_unprepared("SELECT 1 FROM conversations FOR UPDATE").await.unwrap();
    let (mut visitor, request) = (fixture.chats("v"), start(&channel.id));
    let request = StartChatRequest { text: "waited".into(), ..request };
    let starting = tokio::spawn(async move { visitor.start_chat(request).await.unwrap().into_inner() });
    fixture.wait_for_a_lock().await;
    let released_at = fixture.service.db.now().await.unwrap();
    drop(lock);
    let resumed = starting.await.unwrap();
    assert!(resumed.resumed);
    assert!(Time::from_proto(&resumed.entry.unwrap().create_time.unwrap()) >= released_at);
    let silent_since = fixture.conversation(&chat.id).await.last_visitor_activity_time.unwrap();
    assert!(
        Time::from_proto(&silent_since) >= released_at,
        "the visitor's silence counts from the message's acceptance"
    );
}

#[tokio::test]
async fn c2_c3_the_order_of_a_visitors_chats_stays_when_the_clock_is_set_back() {
    let fixture = Fixture::start(Mode::Embedded).await;
    let channel = fixture.channel().await;
    let mut previous = String::new();
    for _ in 0..3 {
        // All that happened before seems to have happened an hour from now.
        let tx = fixture.service.db.begin().await.unwrap();
        let later = "UPDATE conversations SET created_at = created_at + 3600000000, \
            last_activity_at = last_activity_at + 3600000000";
        tx.conn().execute_unprepared(later).await.unwrap();
        tx.commit().await.unwrap();
        let chat = fixture.chat_on(&channel, "v").await;
        assert_eq!(chat.previous_chat_id, previous);
        let newest = fixture.chats("v").list_chats(ListChatsRequest::default()).await.unwrap().into_inner().chats;
        assert_eq!(newest[0].id, chat.id);
        crate::close_conversation::close(&fixture, &chat.id).await;
        previous = chat.id;
    }
}
