//! `DeleteChannel`.

use frontdesk_proto::{
    conversation::v1::{DeleteChannelRequest, Greeter, channel_service_client::ChannelServiceClient},
    event::v1::ChannelUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{Fixture, start, twenty};

on_both_modes!(
    no_chat_starts_on_a_deleted_channel_and_the_open_ones_go_on,
    twenty_deletions_at_once_delete_once,
    s2_another_accounts_channel_does_not_exist,
);

async fn no_chat_starts_on_a_deleted_channel_and_the_open_ones_go_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Nobody).await;
    let open = fixture.chat_on(&channel, "v").await;
    let request = DeleteChannelRequest { channel_id: channel.id.clone() };
    let deleted = fixture.channels().delete_channel(request).await.unwrap().into_inner().channel.unwrap();
    assert!(deleted.deleted);
    let refused = fixture.chats("w").start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CHANNEL_DELETED"));
    assert_eq!(fixture.chat_on(&channel, "v").await.id, open.id);
}

async fn twenty_deletions_at_once_delete_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Nobody).await;
    let deleted = twenty(|_| {
        let (mut channels, request) = (fixture.channels(), DeleteChannelRequest { channel_id: channel.id.clone() });
        async move { channels.delete_channel(request).await.unwrap() }
    });
    deleted.await;
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 1);
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Nobody).await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let request = DeleteChannelRequest { channel_id: channel.id };
    let refused = elsewhere.delete_channel(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
