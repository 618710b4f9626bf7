//! `RotateVisitorKey`: rules S3, S5, C12.

use frontdesk_proto::conversation::v1::{
    ListVisitorKeysRequest, RotateVisitorKeyRequest, channel_service_client::ChannelServiceClient,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{Fixture, twenty};

on_both_modes!(
    s5_each_rotation_makes_a_key_and_a_repeat_gets_the_same_secret,
    c12_twenty_repeats_at_once_make_one_key,
    s5_keys_before_end_at_once_when_the_request_says_so,
    s5_keys_are_listed_in_pages_newest_first,
    s2_another_accounts_channel_does_not_exist,
);

fn rotate(channel: &str) -> RotateVisitorKeyRequest {
    RotateVisitorKeyRequest { channel_id: channel.into(), keep_previous: None, request_id: request_id() }
}

async fn active_keys(fixture: &Fixture, channel: &str) -> Vec<String> {
    let request = ListVisitorKeysRequest { channel_id: channel.into(), ..ListVisitorKeysRequest::default() };
    let keys = fixture.channels().list_visitor_keys(request).await.unwrap().into_inner().keys;
    keys.into_iter().map(|key| key.key_id).collect()
}

async fn s5_each_rotation_makes_a_key_and_a_repeat_gets_the_same_secret(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let first = rotate(&channel.id);
    let mut channels = fixture.channels();
    let made = channels.rotate_visitor_key(first.clone()).await.unwrap().into_inner();
    assert_eq!(channels.rotate_visitor_key(first).await.unwrap().into_inner(), made);
    let second = channels.rotate_visitor_key(rotate(&channel.id)).await.unwrap().into_inner();
    assert_ne!(second.secret, made.secret);
    let ids = [second.key.unwrap().key_id, made.key.unwrap().key_id];
    assert_eq!(active_keys(&fixture, &channel.id).await, ids, "the key before stays active for a while");
}

async fn c12_twenty_repeats_at_once_make_one_key(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let request = rotate(&channel.id);
    let made = twenty(|_| {
        let (mut channels, request) = (fixture.channels(), request.clone());
        async move { channels.rotate_visitor_key(request).await.unwrap().into_inner().secret }
    });
    let mut secrets = made.await;
    secrets.dedup();
    assert_eq!((secrets.len(), active_keys(&fixture, &channel.id).await.len()), (1, 1));
}

async fn s5_keys_before_end_at_once_when_the_request_says_so(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut channels = fixture.channels();
    channels.rotate_visitor_key(rotate(&channel.id)).await.unwrap();
    let at_once =
        RotateVisitorKeyRequest { keep_previous: Some(prost_types::Duration::default()), ..rotate(&channel.id) };
    let made = channels.rotate_visitor_key(at_once).await.unwrap().into_inner().key.unwrap();
    assert_eq!(active_keys(&fixture, &channel.id).await, [made.key_id]);
}

async fn s5_keys_are_listed_in_pages_newest_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut channels = fixture.channels();
    for _ in 0..3 {
        channels.rotate_visitor_key(rotate(&channel.id)).await.unwrap();
    }
    let mut request =
        ListVisitorKeysRequest { channel_id: channel.id.clone(), page_size: 2, page_token: String::new() };
    let first = channels.list_visitor_keys(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = channels.list_visitor_keys(request).await.unwrap().into_inner();
    assert_eq!((first.keys.len(), second.keys.len(), second.next_page_token.as_str()), (2, 1, ""));
    let paged: Vec<_> = first.keys.into_iter().chain(second.keys).map(|key| key.key_id).collect();
    assert_eq!(paged, active_keys(&fixture, &channel.id).await);
    assert_eq!(paged, [3, 2, 1].map(|number| format!("{}.{number}", channel.id)));
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let refused = elsewhere.rotate_visitor_key(rotate(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
