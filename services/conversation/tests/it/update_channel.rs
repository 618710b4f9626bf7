//! `UpdateChannel`.

use frontdesk_proto::{
    conversation::v1::{
        DeleteChannelRequest, Greeter, UpdateChannelRequest, channel_service_client::ChannelServiceClient,
    },
    event::v1::ChannelUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{Fixture, ROBIN, twenty};

on_both_modes!(
    a_channel_changes_and_the_same_again_changes_nothing,
    b1_a_channel_has_a_bot_if_and_only_if_a_bot_greets,
    twenty_edits_of_one_etag_and_one_wins,
    a_deleted_channel_is_not_edited,
    s2_another_accounts_channel_does_not_exist,
);

fn update(channel: &str) -> UpdateChannelRequest {
    UpdateChannelRequest { channel_id: channel.into(), ..UpdateChannelRequest::default() }
}

async fn a_channel_changes_and_the_same_again_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let request = UpdateChannelRequest { transcript_enabled: Some(false), ..update(&channel.id) };
    for _ in 0..2 {
        let updated = fixture.channels().update_channel(request.clone()).await.unwrap().into_inner().channel.unwrap();
        assert_eq!((updated.name, updated.transcript_enabled), (channel.name.clone(), false));
    }
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 1);
}

async fn b1_a_channel_has_a_bot_if_and_only_if_a_bot_greets(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let mut channels = fixture.channels();
    let greeter = |greeter: Greeter, bot: Option<String>| UpdateChannelRequest {
        greeter: Some(greeter.into()),
        bot_id: bot,
        ..update(&channel.id)
    };
    for wrong in [greeter(Greeter::Bot, None), greeter(Greeter::Nobody, Some(ROBIN.to_string()))] {
        assert_eq!(channels.update_channel(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let with_bot = greeter(Greeter::Bot, Some(ROBIN.to_string()));
    let with_bot = channels.update_channel(with_bot).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(with_bot.bot_id, ROBIN.to_string());
    let without = channels.update_channel(greeter(Greeter::Routing, None)).await.unwrap().into_inner();
    assert_eq!(without.channel.unwrap().bot_id, "");
}

async fn twenty_edits_of_one_etag_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let edits = twenty(|n| {
        let name = Some(format!("Shop {n}"));
        let request = UpdateChannelRequest { name, etag: channel.etag.clone(), ..update(&channel.id) };
        let mut channels = fixture.channels();
        async move { channels.update_channel(request).await }
    });
    let refused: Vec<_> = edits.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| status.code() == Code::Aborted && reason(status) == "ETAG_MISMATCH"));
}

async fn a_deleted_channel_is_not_edited(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let mut channels = fixture.channels();
    channels.delete_channel(DeleteChannelRequest { channel_id: channel.id.clone() }).await.unwrap();
    let refused = channels.update_channel(update(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CHANNEL_DELETED"));
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Routing).await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let refused = elsewhere.update_channel(update(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
