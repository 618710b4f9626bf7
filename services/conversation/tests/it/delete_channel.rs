//! `DeleteChannel` and `UndeleteChannel`.

use std::time::Duration;

use frontdesk_proto::{
    conversation::v1::{
        Channel, CloseConversationRequest, DeleteChannelRequest, GetChannelRequest, ListChannelsRequest,
        RotateVisitorKeyRequest, UndeleteChannelRequest, channel_service_client::ChannelServiceClient,
    },
    event::v1::{ChannelDeleted, ChannelUndeleted, ChannelUpdated, ConversationStarted},
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use sea_orm::ConnectionTrait;
use tonic::Code;

use crate::fixture::{ADA, Fixture, start, twenty};

on_both_modes!(
    no_chat_starts_on_a_deleted_channel_and_the_open_ones_go_on,
    a_deleted_channel_is_listed_on_request_only,
    an_undeleted_channel_is_as_it_was_and_chats_start_on_it_again,
    undeleting_a_channel_that_is_not_deleted_changes_nothing,
    twenty_deletions_at_once_delete_once_and_twenty_undeletions_undelete_once,
    s2_another_accounts_channel_does_not_exist,
);

async fn delete(fixture: &Fixture, channel: &str) -> Channel {
    let request = DeleteChannelRequest { channel_id: channel.into() };
    fixture.channels().delete_channel(request).await.unwrap().into_inner().channel.unwrap()
}

async fn undelete(fixture: &Fixture, channel: &str) -> Channel {
    let request = UndeleteChannelRequest { channel_id: channel.into() };
    fixture.channels().undelete_channel(request).await.unwrap().into_inner().channel.unwrap()
}

async fn listed(fixture: &Fixture, show_deleted: bool) -> Vec<String> {
    let request = ListChannelsRequest { show_deleted, ..ListChannelsRequest::default() };
    let channels = fixture.channels().list_channels(request).await.unwrap().into_inner().channels;
    channels.into_iter().map(|channel| channel.id).collect()
}

async fn no_chat_starts_on_a_deleted_channel_and_the_open_ones_go_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let open = fixture.chat_on(&channel, "v").await;
    let deleted = delete(&fixture, &channel.id).await;
    assert!(deleted.delete_time.is_some() && deleted.delete_time == deleted.update_time);
    assert_eq!(delete(&fixture, &channel.id).await, deleted, "a repeat changes nothing");
    let refused = fixture.chats("w").start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CHANNEL_DELETED"));
    assert_eq!(fixture.chat_on(&channel, "v").await.id, open.id);
    assert!(fixture.service.appended::<ChannelUpdated>().await.is_empty());
}

async fn a_deleted_channel_is_listed_on_request_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (kept, gone) = (fixture.channel().await.id, fixture.channel().await.id);
    delete(&fixture, &gone).await;
    assert_eq!(listed(&fixture, false).await, std::slice::from_ref(&kept));
    let all = listed(&fixture, true).await;
    assert!(all.len() == 2 && all.contains(&kept) && all.contains(&gone));
}

async fn an_undeleted_channel_is_as_it_was_and_chats_start_on_it_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let rotate =
        RotateVisitorKeyRequest { channel_id: channel.id.clone(), keep_previous: None, request_id: request_id() };
    let key = fixture.channels().rotate_visitor_key(rotate.clone()).await.unwrap().into_inner();
    delete(&fixture, &channel.id).await;
    let undeleted = undelete(&fixture, &channel.id).await;
    let expected =
        Channel { update_time: undeleted.update_time, version: 3, etag: undeleted.etag.clone(), ..channel.clone() };
    assert_eq!(undeleted, expected);
    let request = GetChannelRequest { channel_id: channel.id.clone() };
    assert_eq!(fixture.channels().get_channel(request).await.unwrap().into_inner().channel.unwrap(), undeleted);
    assert_eq!(fixture.channels().rotate_visitor_key(rotate).await.unwrap().into_inner(), key);
    fixture.chat_on(&channel, "v").await;
}

async fn undeleting_a_channel_that_is_not_deleted_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    assert_eq!(undelete(&fixture, &channel.id).await, channel);
    assert!(fixture.service.appended::<ChannelUndeleted>().await.is_empty());
}

async fn twenty_deletions_at_once_delete_once_and_twenty_undeletions_undelete_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    twenty(|_| delete(&fixture, &channel.id)).await;
    assert_eq!(fixture.service.appended::<ChannelDeleted>().await.len(), 1);
    twenty(|_| undelete(&fixture, &channel.id)).await;
    assert_eq!(fixture.service.appended::<ChannelUndeleted>().await.len(), 1);
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let deleted = elsewhere.delete_channel(DeleteChannelRequest { channel_id: channel.id.clone() }).await.map(drop);
    let undeleted = elsewhere.undelete_channel(UndeleteChannelRequest { channel_id: channel.id }).await.map(drop);
    for refused in [deleted.unwrap_err(), undeleted.unwrap_err()] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
}

/// On PostgreSQL alone: SQLite has one writer and no lock of a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_a_start_that_waits_for_a_lock_is_refused_when_its_channel_is_deleted_meanwhile() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await;
    let close = CloseConversationRequest { conversation_id: chat.id, ..Default::default() };
    fixture.conversations(ADA).close_conversation(close).await.unwrap();
    let lock = fixture.service.db.begin().await.unwrap();
    lock.conn().execute_unprepared("SELECT 1 FROM conversations FOR UPDATE").await.unwrap();
    let (mut chats, request) = (fixture.chats("v"), start(&channel.id));
    let waiting = tokio::spawn(async move { chats.start_chat(request).await });
    fixture.wait_for_a_lock().await;
    delete(&fixture, &channel.id).await;
    lock.commit().await.unwrap();
    let refused = waiting.await.unwrap().unwrap_err();
    assert_eq!(reason(&refused), "CHANNEL_DELETED");
}

/// A deletion waits for the starts that it does not refuse, so that none of them comes after its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_no_chat_starts_after_a_deletion_was_answered() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let channel = fixture.channel().await;
    let starts = tokio::task::JoinSet::from_iter((0..40).map(|visitor| {
        let (mut chats, request) = (fixture.chats(&format!("v{visitor}")), start(&channel.id));
        async move { chats.start_chat(request).await }
    }));
    tokio::time::sleep(Duration::from_millis(20)).await;
    delete(&fixture, &channel.id).await;
    let started = fixture.service.appended::<ConversationStarted>().await.len();
    let accepted = starts.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(accepted, started);
}
