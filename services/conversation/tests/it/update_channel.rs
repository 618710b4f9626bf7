//! `UpdateChannel`: rules B1, C12, T5.

use frontdesk_proto::{
    botsession::v1::{GetBotRequest, GetBotResponse},
    conversation::v1::{
        Channel, CreateChannelRequest, DeleteChannelRequest, NoGreeter, UpdateChannelRequest, channel,
        channel_service_client::ChannelServiceClient, update_channel_request::Greeter,
    },
    event::v1::ChannelUpdated,
    notification::v1::{GetSenderRequest, GetSenderResponse},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, ROBIN, SALES, new_channel, twenty};

on_both_modes!(
    c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing,
    c12_an_update_with_a_stale_etag_is_refused,
    every_field_of_a_channel_changes_and_each_optional_one_is_cleared,
    t6_a_language_that_is_no_tag_is_refused,
    b1_a_channel_gets_a_bot_that_exists_and_loses_it,
    t5_a_channel_gets_a_sender_that_exists,
    twenty_updates_of_one_etag_and_one_wins,
    a_deleted_channel_is_not_updated,
    s2_another_accounts_channel_does_not_exist,
);

fn update(channel: &str) -> UpdateChannelRequest {
    UpdateChannelRequest { channel_id: channel.into(), ..UpdateChannelRequest::default() }
}

async fn updated(fixture: &Fixture, request: UpdateChannelRequest) -> Channel {
    fixture.channels().update_channel(request).await.unwrap().into_inner().channel.unwrap()
}

async fn c12_a_repeat_of_an_update_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let request = UpdateChannelRequest {
        greeter: Some(Greeter::BotId(ROBIN.to_string())),
        transcript_sender_id: Some(SALES.to_string()),
        etag: channel.etag.clone(),
        ..update(&channel.id)
    };
    let first = updated(&fixture, request.clone()).await;
    assert_eq!((channel.version, first.version), (1, 2));
    assert!(first.etag != channel.etag && first.update_time != channel.update_time);
    // A repeat asks about nothing that the first call decided.
    fixture.service.fake.on(|_: Request<GetBotRequest>| Err::<GetBotResponse, _>(Status::not_found("deleted")));
    fixture.service.fake.on(|_: Request<GetSenderRequest>| Err::<GetSenderResponse, _>(Status::not_found("deleted")));
    assert_eq!(updated(&fixture, request).await, first);
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 1);
}

async fn c12_an_update_with_a_stale_etag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let rename = |name: &str| UpdateChannelRequest {
        name: Some(name.into()),
        etag: channel.etag.clone(),
        ..update(&channel.id)
    };
    updated(&fixture, rename("First")).await;
    let refused = fixture.channels().update_channel(rename("Second")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 1);
}

async fn every_field_of_a_channel_changes_and_each_optional_one_is_cleared(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let created = CreateChannelRequest { time_zone: "Europe/Rome".into(), language: "it".into(), ..new_channel() };
    let channel = fixture.channels().create_channel(created).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(channel.language, "it");
    let sender = SALES.to_string();
    let all = UpdateChannelRequest {
        name: Some("Outlet".into()),
        website_url: Some("https://outlet.example".into()),
        transcript_enabled: Some(false),
        transcript_sender_id: Some(sender.clone()),
        time_zone: Some("Europe/Berlin".into()),
        language: Some("de-CH".into()),
        ..update(&channel.id)
    };
    let full = updated(&fixture, all).await;
    let expected = Channel {
        name: "Outlet".into(),
        website_url: "https://outlet.example".into(),
        transcript_enabled: false,
        transcript_sender_id: sender,
        time_zone: "Europe/Berlin".into(),
        language: "de-CH".into(),
        update_time: full.update_time,
        version: 2,
        etag: full.etag.clone(),
        ..channel
    };
    assert_eq!(full, expected);
    let cleared = UpdateChannelRequest {
        transcript_sender_id: Some(String::new()),
        time_zone: Some(String::new()),
        language: Some(String::new()),
        ..update(&full.id)
    };
    let cleared = updated(&fixture, cleared).await;
    assert_eq!([&cleared.transcript_sender_id, &cleared.time_zone, &cleared.language], ["", "", ""]);
    assert_eq!((cleared.name.as_str(), cleared.version), ("Outlet", 3));
}

async fn t6_a_language_that_is_no_tag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    for tag in ["Italian language", "i", "it_IT"] {
        let created = CreateChannelRequest { language: tag.into(), ..new_channel() };
        let refused = fixture.channels().create_channel(created).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{tag}");
        let changed = UpdateChannelRequest { language: Some(tag.into()), ..update(&channel.id) };
        let refused = fixture.channels().update_channel(changed).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{tag}");
    }
    assert!(fixture.service.appended::<ChannelUpdated>().await.is_empty());
}

async fn b1_a_channel_gets_a_bot_that_exists_and_loses_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let greet = |greeter: Greeter| UpdateChannelRequest { greeter: Some(greeter), ..update(&channel.id) };
    let absent = greet(Greeter::BotId(new_id().to_string()));
    let refused = fixture.channels().update_channel(absent).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BOT_UNKNOWN"));
    let with_bot = updated(&fixture, greet(Greeter::BotId(ROBIN.to_string()))).await;
    assert_eq!(with_bot.greeter, Some(channel::Greeter::BotId(ROBIN.to_string())));
    let renamed = updated(&fixture, UpdateChannelRequest { name: Some("Other".into()), ..update(&channel.id) }).await;
    assert_eq!(renamed.greeter, with_bot.greeter, "unset is unchanged");
    let without = updated(&fixture, greet(Greeter::NoGreeter(NoGreeter {}))).await;
    assert_eq!(without.greeter, Some(channel::Greeter::NoGreeter(NoGreeter {})));
}

async fn t5_a_channel_gets_a_sender_that_exists(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let with_sender =
        |id: uuid::Uuid| UpdateChannelRequest { transcript_sender_id: Some(id.to_string()), ..update(&channel.id) };
    let refused = fixture.channels().update_channel(with_sender(new_id())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SENDER_UNKNOWN"));
    // A stale etag, a channel that does not exist, and an update without a sender ask nothing.
    let stale = UpdateChannelRequest { etag: "0".into(), ..with_sender(SALES) };
    assert_eq!(reason(&fixture.channels().update_channel(stale).await.unwrap_err()), "ETAG_MISMATCH");
    let absent = UpdateChannelRequest { channel_id: new_id().to_string(), ..with_sender(SALES) };
    assert_eq!(fixture.channels().update_channel(absent).await.unwrap_err().code(), Code::NotFound);
    updated(&fixture, UpdateChannelRequest { name: Some("Other".into()), ..update(&channel.id) }).await;
    assert_eq!(fixture.service.fake.calls::<GetSenderRequest>(), 1);
    assert_eq!(updated(&fixture, with_sender(SALES)).await.transcript_sender_id, SALES.to_string());
    fixture.service.fake.on(|_: Request<GetSenderRequest>| Err::<GetSenderResponse, _>(Status::internal("broken")));
    let other = fixture.channels().update_channel(with_sender(new_id())).await.unwrap_err();
    assert_eq!(other.code(), Code::Unavailable);
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 2);
}

async fn twenty_updates_of_one_etag_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let updates = twenty(|n| {
        let name = Some(format!("Shop {n}"));
        let request = UpdateChannelRequest { name, etag: channel.etag.clone(), ..update(&channel.id) };
        let mut channels = fixture.channels();
        async move { channels.update_channel(request).await }
    });
    let refused: Vec<_> = updates.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| status.code() == Code::Aborted && reason(status) == "ETAG_MISMATCH"));
}

async fn a_deleted_channel_is_not_updated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut channels = fixture.channels();
    channels.delete_channel(DeleteChannelRequest { channel_id: channel.id.clone() }).await.unwrap();
    let with_bot = UpdateChannelRequest { greeter: Some(Greeter::BotId(new_id().to_string())), ..update(&channel.id) };
    for request in [update(&channel.id), with_bot] {
        let refused = channels.update_channel(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CHANNEL_DELETED"));
    }
}

async fn s2_another_accounts_channel_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let refused = elsewhere.update_channel(update(&channel.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
