//! What the team reads: `ListEntries`, `WatchThread`. Rules C3, C10, C14.

use std::time::Duration;

use frontdesk_proto::conversation::v1::{
    ListEntriesRequest, PostCommentRequest, WatchChatRequest, WatchThreadRequest,
    thread_service_client::ThreadServiceClient, watch_chat_response::Update as ChatUpdate,
    watch_thread_response::Update,
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use sea_orm::ConnectionTrait;
use tonic::Code;

use crate::{
    close_conversation::close,
    fixture::{ADA, Fixture},
};

on_both_modes!(
    c3_a_page_of_a_thread_is_cut_at_its_maximum,
    c14_a_thread_as_of_an_entry_stays_the_same_whatever_follows,
    c10_a_watch_of_a_thread_is_caught_up_once_and_then_has_what_is_new,
    c10_a_number_beyond_the_last_entry_is_refused,
    c10_an_entry_whose_notification_was_lost_is_found_by_the_streams_of_its_conversation,
    s2_another_accounts_thread_is_not_watched,
);

fn entries_of(conversation: &str) -> ListEntriesRequest {
    ListEntriesRequest { conversation_id: conversation.into(), ..ListEntriesRequest::default() }
}

fn watch(conversation: &str, after_sequence: i32) -> WatchThreadRequest {
    WatchThreadRequest { conversation_id: conversation.into(), after_sequence }
}

async fn c3_a_page_of_a_thread_is_cut_at_its_maximum(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "one").await;
    for (page_size, expected) in [(1, 1), (0, 2), (1_001, 2), (i32::MAX, 2)] {
        let request = ListEntriesRequest { page_size, ..entries_of(&chat.id) };
        let page = fixture.threads(ADA).list_entries(request).await.unwrap().into_inner();
        assert_eq!((page.entries.len(), page.has_more), (expected, expected == 1));
    }
}

async fn c14_a_thread_as_of_an_entry_stays_the_same_whatever_follows(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for text in ["one", "two"] {
        fixture.post(&chat.id, text).await;
    }
    let as_of = async |until_sequence: i32, page_size: i32| {
        let request = ListEntriesRequest { until_sequence, page_size, ..entries_of(&chat.id) };
        fixture.threads(ADA).list_entries(request).await.unwrap().into_inner()
    };
    let before = as_of(3, 0).await;
    assert_eq!((before.entries.len(), before.has_more), (3, false));
    assert_eq!(before.entries, fixture.entries(&chat.id).await);
    close(&fixture, &chat.id).await;
    let comment = PostCommentRequest {
        conversation_id: chat.id.clone(),
        text: "done".into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(comment).await.unwrap();
    assert_eq!(as_of(3, 0).await, before);
    assert_eq!((as_of(4, 0).await.entries.len(), as_of(0, 0).await.entries.len()), (4, 5));
    assert_eq!(as_of(9, 0).await.entries.len(), 5, "beyond the newest: up to the newest");
    let page = as_of(3, 2).await;
    assert_eq!((page.entries.len(), page.has_more), (2, true));
    let last = as_of(2, 2).await;
    assert_eq!((last.entries.len(), last.has_more), (2, false), "no more as of that entry");
}

async fn c10_a_watch_of_a_thread_is_caught_up_once_and_then_has_what_is_new(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "one").await;
    let mut stream = fixture.threads(ADA).watch_thread(watch(&chat.id, 1)).await.unwrap().into_inner();
    let mut updates = Vec::new();
    for _ in 0..3 {
        updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    }
    let posted = fixture.post(&chat.id, "two").await;
    updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    let [Update::Entry(old), Update::CaughtUp(_), Update::VisitorMarks(_), Update::Entry(new)] = &updates[..] else {
        panic!("{updates:?}")
    };
    assert_eq!((old.sequence, new), (2, &posted));
}

async fn c10_a_number_beyond_the_last_entry_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "one").await;
    let mut threads = fixture.threads(ADA);
    let watched = threads.watch_thread(watch(&chat.id, 3)).await.map(drop).unwrap_err();
    let beyond = ListEntriesRequest { after_sequence: 3, ..entries_of(&chat.id) };
    let listed = threads.list_entries(beyond).await.map(drop).unwrap_err();
    for refused in [watched, listed] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_OUT_OF_RANGE"));
        assert_eq!(metadata(&refused, "last_sequence"), "2");
    }
    threads.watch_thread(watch(&chat.id, 2)).await.unwrap();
    let end = ListEntriesRequest { after_sequence: 2, ..entries_of(&chat.id) };
    assert!(threads.list_entries(end).await.unwrap().into_inner().entries.is_empty());
}

async fn s2_another_accounts_thread_is_not_watched(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut threads = ThreadServiceClient::new(fixture.in_another_account().as_agent());
    let refused = threads.watch_thread(watch(&chat.id, 0)).await.map(drop).unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn c10_an_entry_whose_notification_was_lost_is_found_by_the_streams_of_its_conversation(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "one").await;
    let watched = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 2 };
    let mut visitor = fixture.chats("v").watch_chat(watched).await.unwrap().into_inner();
    let mut team = fixture.threads(ADA).watch_thread(watch(&chat.id, 2)).await.unwrap().into_inner();
    for _ in 0..3 {
        visitor.message().await.unwrap().unwrap();
    }
    for _ in 0..2 {
        team.message().await.unwrap().unwrap();
    }
    // As by a replica whose notification is lost.
    let tx = fixture.service.db.begin().await.unwrap();
    for sql in [
        "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content, \
            created_at, request_id) SELECT conversation_id, 3, 3, account_id, author_kind, author_id, content, created_at, NULL \
            FROM entries WHERE sequence = 2",
        "UPDATE conversations SET last_sequence = 3, last_visitor_sequence = 3",
    ] {
        tx.conn().execute_unprepared(sql).await.unwrap();
    }
    tx.commit().await.unwrap();
    let found = async {
        let Some(Update::Entry(entry)) = team.message().await.unwrap().unwrap().update else { panic!("an entry") };
        assert_eq!(entry.sequence, 3);
        let Some(ChatUpdate::Entry(entry)) = visitor.message().await.unwrap().unwrap().update else {
            panic!("an entry")
        };
        assert_eq!(entry.visitor_sequence, 3);
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("the entry");
}
