//! What a visitor reads: `ListChats`, `ListChatEntries`, `WatchChat`. Rules C3, C9, C10, S3.

use std::time::Duration;

use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{
        Chat, ChatAuthor, ChatEntry, ChatState, GetChatRequest, ListChatEntriesRequest, ListChatsRequest,
        SendMessageRequest, WatchChatRequest, WatchChatResponse, chat_entry::Content,
        visitor_service_client::VisitorServiceClient, watch_chat_response::Update,
    },
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::{
    change_assignee::unassign,
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, message},
};

on_both_modes!(
    c9_a_visitors_chats_come_in_pages_newest_first,
    c3_a_chats_entries_are_listed_by_visitor_sequence,
    c10_a_watch_of_a_chat_is_caught_up_once_and_then_has_what_is_new,
    c10_a_watch_of_a_chat_has_its_state_when_it_changes,
    c10_a_number_beyond_the_last_entry_is_refused,
    s3_the_authors_of_a_chat_are_told_apart_without_their_ids,
    s3_another_visitors_chat_is_not_listed_or_watched,
);

fn send(chat: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest { chat_id: chat.into(), text: text.into(), request_id: request_id(), ..Default::default() }
}

fn entries_of(chat: &str) -> ListChatEntriesRequest {
    ListChatEntriesRequest { chat_id: chat.into(), ..ListChatEntriesRequest::default() }
}

fn watch(chat: &str, after_visitor_sequence: i32) -> WatchChatRequest {
    WatchChatRequest { chat_id: chat.into(), after_visitor_sequence }
}

async fn c9_a_visitors_chats_come_in_pages_newest_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut started = Vec::new();
    for _ in 0..5 {
        let chat = fixture.chat_on(&channel, "v").await;
        crate::close_conversation::close(&fixture, &chat.id).await;
        started.push(chat.id);
    }
    let elsewhere = fixture.chat("v").await;
    fixture.chat_on(&channel, "w").await;
    let mut request = ListChatsRequest { channel_id: channel.id, page_size: 2, ..ListChatsRequest::default() };
    let (mut listed, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = fixture.chats("v").list_chats(request.clone()).await.unwrap().into_inner();
        sizes.push(page.chats.len());
        listed.extend(page.chats.into_iter().map(|chat| chat.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    started.reverse();
    assert_eq!((listed, sizes), (started, vec![2, 2, 1]));
    let all = fixture.chats("v").list_chats(ListChatsRequest::default()).await.unwrap().into_inner();
    assert_eq!((all.chats.len(), all.next_page_token.as_str()), (if elsewhere.open { 6 } else { 5 }, ""));
}

async fn c3_a_chats_entries_are_listed_by_visitor_sequence(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for n in 0..5 {
        fixture.chats("v").send_message(send(&chat.id, &n.to_string())).await.unwrap();
    }
    let list = |request: ListChatEntriesRequest| {
        let mut visitor = fixture.chats("v");
        async move {
            let page = visitor.list_chat_entries(request).await.unwrap().into_inner();
            (page.entries.iter().map(|entry| entry.visitor_sequence).collect::<Vec<_>>(), page.has_more)
        }
    };
    assert_eq!(list(entries_of(&chat.id)).await, (vec![1, 2, 3, 4, 5], false));
    let two = ListChatEntriesRequest { after_visitor_sequence: 1, page_size: 2, ..entries_of(&chat.id) };
    assert_eq!(list(two).await, (vec![2, 3], true));
    let until = ListChatEntriesRequest { until_visitor_sequence: 2, ..entries_of(&chat.id) };
    assert_eq!(list(until).await, (vec![1, 2], false));
    let cut = ListChatEntriesRequest { page_size: i32::MAX, after_visitor_sequence: 5, ..entries_of(&chat.id) };
    assert_eq!(list(cut).await, (Vec::new(), false));
}

async fn c10_a_watch_of_a_chat_is_caught_up_once_and_then_has_what_is_new(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for text in ["one", "two"] {
        fixture.chats("v").send_message(send(&chat.id, text)).await.unwrap();
    }
    let mut stream = fixture.chats("v").watch_chat(watch(&chat.id, 1)).await.unwrap().into_inner();
    let mut updates = Vec::new();
    for _ in 0..4 {
        updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    }
    let request = send(&chat.id, "three");
    fixture.chats("v").send_message(request.clone()).await.unwrap();
    updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    let [Update::Entry(old), Update::CaughtUp(_), Update::State(_), Update::TeamMarks(_), Update::Entry(new)] =
        &updates[..]
    else {
        panic!("{updates:?}")
    };
    assert_eq!((old.visitor_sequence, new.visitor_sequence), (2, 3));
    assert_eq!(new.request_id, request.request_id);
}

/// The next state of the chat, and the kinds of the entries before it.
async fn next_state(stream: &mut Streaming<WatchChatResponse>) -> (Vec<Content>, ChatState) {
    let mut before = Vec::new();
    loop {
        let next = timeout(Duration::from_secs(20), stream.message()).await.expect("a state");
        match next.unwrap().unwrap().update.unwrap() {
            Update::State(state) => return (before, state),
            Update::Entry(entry) => before.extend(entry.content),
            _ => {}
        }
    }
}

async fn c10_a_watch_of_a_chat_has_its_state_when_it_changes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let mut stream = fixture.chats("v").watch_chat(watch(&chat.id, 0)).await.unwrap().into_inner();
    let name = |state: &ChatState| state.answering.clone().map(|answering| answering.name);
    let (_, greeted) = next_state(&mut stream).await;
    assert!(greeted.open);
    assert_eq!(name(&greeted).as_deref(), Some("Robin"));
    // A message changes none: the next state is that of the takeover.
    fixture.chats("v").send_message(send(&chat.id, "one")).await.unwrap();
    fixture.assign_ada(&chat.id, 1).await;
    let (entries, taken) = next_state(&mut stream).await;
    assert!(matches!(&entries[..], [Content::Message(_), Content::Joined(_)]), "{entries:?}");
    assert_eq!((taken.open, name(&taken).as_deref()), (true, Some("Ada")));
    let answering = taken.answering.clone().unwrap();
    assert!(answering.kind() == ActorKind::Agent && !answering.id.contains(&ADA.to_string()));
    // The visitor sees no entry of an agent who leaves the chat.
    unassign(&fixture, &chat.id, 2).await;
    let (entries, left) = next_state(&mut stream).await;
    assert_eq!((entries, left), (Vec::new(), ChatState { open: true, answering: None }));
    close(&fixture, &chat.id).await;
    let (entries, closed) = next_state(&mut stream).await;
    assert!(matches!(&entries[..], [Content::Ended(_)]), "{entries:?}");
    assert_eq!(closed, ChatState::default());
    let mut later = fixture.chats("v").watch_chat(watch(&chat.id, 0)).await.unwrap().into_inner();
    assert_eq!(next_state(&mut later).await.1, closed, "a watch begins with the state");
}

async fn c10_a_number_beyond_the_last_entry_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.chats("v").send_message(send(&chat.id, "one")).await.unwrap();
    let mut visitor = fixture.chats("v");
    let watched = visitor.watch_chat(watch(&chat.id, 2)).await.map(drop).unwrap_err();
    let beyond = ListChatEntriesRequest { after_visitor_sequence: 2, ..entries_of(&chat.id) };
    let listed = visitor.list_chat_entries(beyond).await.map(drop).unwrap_err();
    for refused in [watched, listed] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_OUT_OF_RANGE"));
        assert_eq!(metadata(&refused, "last_sequence"), "1");
    }
    visitor.watch_chat(watch(&chat.id, 1)).await.unwrap();
}

fn author(entries: &[ChatEntry], index: usize) -> ChatAuthor {
    entries[index].author.clone().unwrap()
}

async fn s3_the_authors_of_a_chat_are_told_apart_without_their_ids(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.chats("v").send_message(send(&chat.id, "hello")).await.unwrap();
    fixture.assign_ada(&chat.id, 1).await;
    fixture.post(&chat.id, "I am Ada").await;
    fixture.threads(BOB).post_message(message(&chat.id, "and I am Bob")).await.unwrap();
    let chat_now = |chat: &Chat| GetChatRequest { chat_id: chat.id.clone() };
    let answering = fixture.chats("v").get_chat(chat_now(&chat)).await.unwrap().into_inner().chat.unwrap().answering;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let entries = fixture.chat_entries("v", &chat.id).await;
    let [visitor, joined, ada, bob, ended] = [0, 1, 2, 3, 4].map(|index| author(&entries, index));
    assert!(matches!(entries[1].content, Some(Content::Joined(_))), "{entries:?}");
    assert_eq!((visitor.kind(), visitor.id.as_str(), visitor.name.as_str()), (ActorKind::Visitor, "", ""));
    assert_eq!((ended.kind(), ended.id.as_str(), ended.name.as_str()), (ActorKind::System, "", ""));
    assert_eq!((ada.kind(), ada.name.as_str(), ada.id.len()), (ActorKind::Agent, "Ada", 16));
    assert_eq!((&joined, answering.as_ref()), (&ada, Some(&ada)));
    assert_ne!(bob.id, ada.id);
    let shown = format!("{entries:?}");
    assert!(!shown.contains(&ADA.to_string()) && !shown.contains(&BOB.to_string()), "{shown}");
    let closed = fixture.chats("v").get_chat(chat_now(&chat)).await.unwrap().into_inner().chat.unwrap();
    assert_eq!(closed.answering, None);
}

async fn s3_another_visitors_chat_is_not_listed_or_watched(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let other_account = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    for mut visitor in [fixture.chats("w"), other_account] {
        let listed = visitor.list_chat_entries(entries_of(&chat.id)).await.map(drop).unwrap_err();
        let watched = visitor.watch_chat(watch(&chat.id, 0)).await.map(drop).unwrap_err();
        for refused in [listed, watched] {
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
        }
    }
}
