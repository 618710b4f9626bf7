//! What the team reads: `ListEntries`, `WatchThread`. Rules C3, C10.

use frontdesk_proto::conversation::v1::{
    ListEntriesRequest, WatchThreadRequest, thread_service_client::ThreadServiceClient, watch_thread_response::Update,
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{ADA, Fixture};

on_both_modes!(
    c3_a_page_of_a_thread_is_cut_at_its_maximum,
    c10_a_watch_of_a_thread_is_caught_up_once_and_then_has_what_is_new,
    c10_a_number_beyond_the_last_entry_is_refused,
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

async fn c10_a_watch_of_a_thread_is_caught_up_once_and_then_has_what_is_new(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "one").await;
    let mut stream = fixture.threads(ADA).watch_thread(watch(&chat.id, 1)).await.unwrap().into_inner();
    let mut updates = Vec::new();
    for _ in 0..2 {
        updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    }
    let posted = fixture.post(&chat.id, "two").await;
    updates.push(stream.message().await.unwrap().unwrap().update.unwrap());
    let [Update::Entry(old), Update::CaughtUp(_), Update::Entry(new)] = &updates[..] else { panic!("{updates:?}") };
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
