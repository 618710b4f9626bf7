//! `CreateChannel`: rules B1, C12, T1, T5.

use frontdesk_proto::{
    botsession::v1::{GetBotRequest, GetBotResponse},
    conversation::v1::{CreateChannelRequest, NoGreeter, channel, create_channel_request::Greeter},
    event::v1::ChannelCreated,
    notification::v1::{GetSenderRequest, GetSenderResponse},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, ROBIN, SALES, new_channel, twenty};

on_both_modes!(
    c12_a_repeat_gets_the_first_answer_whatever_became_of_bot_and_sender,
    c12_twenty_repeats_at_once_create_one_channel,
    b1_a_channel_names_a_bot_that_exists_or_says_that_it_has_no_greeter,
    b1_nothing_is_created_while_the_bots_service_does_not_answer,
    t5_a_channel_names_a_sender_that_exists_verified_or_not,
    t5_nothing_is_created_while_the_senders_service_does_not_answer,
    t1_a_new_channel_mails_transcripts_unless_the_request_says_otherwise,
);

fn with_bot(bot: uuid::Uuid) -> CreateChannelRequest {
    CreateChannelRequest { greeter: Some(Greeter::BotId(bot.to_string())), request_id: request_id(), ..new_channel() }
}

async fn c12_a_repeat_gets_the_first_answer_whatever_became_of_bot_and_sender(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = CreateChannelRequest { transcript_sender_id: SALES.to_string(), ..with_bot(ROBIN) };
    let mut channels = fixture.channels();
    let first = channels.create_channel(request.clone()).await.unwrap().into_inner();
    fixture.service.fake.on(|_: Request<GetBotRequest>| Err::<GetBotResponse, _>(Status::not_found("deleted")));
    fixture.service.fake.on(|_: Request<GetSenderRequest>| Err::<GetSenderResponse, _>(Status::not_found("deleted")));
    assert_eq!(channels.create_channel(request.clone()).await.unwrap().into_inner(), first);
    let other = channels.create_channel(CreateChannelRequest { name: "Other".into(), ..request }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

async fn c12_twenty_repeats_at_once_create_one_channel(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = with_bot(ROBIN);
    let created = twenty(|_| {
        let (mut channels, request) = (fixture.channels(), request.clone());
        async move { channels.create_channel(request).await.unwrap() }
    });
    created.await;
    assert_eq!(fixture.service.appended::<ChannelCreated>().await.len(), 1);
}

async fn b1_a_channel_names_a_bot_that_exists_or_says_that_it_has_no_greeter(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut channels = fixture.channels();
    let absent = channels.create_channel(with_bot(new_id())).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::FailedPrecondition, "BOT_UNKNOWN"));
    for greeter in [None, Some(Greeter::BotId(String::new()))] {
        let wrong = channels.create_channel(CreateChannelRequest { greeter, ..new_channel() }).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument);
    }
    assert!(fixture.service.appended::<ChannelCreated>().await.is_empty());
    assert_eq!(fixture.bot_channel().await.greeter, Some(channel::Greeter::BotId(ROBIN.to_string())));
    assert_eq!(fixture.channel().await.greeter, Some(channel::Greeter::NoGreeter(NoGreeter {})));
}

async fn b1_nothing_is_created_while_the_bots_service_does_not_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.service.fake.on(|_: Request<GetBotRequest>| Err::<GetBotResponse, _>(Status::internal("broken")));
    let refused = fixture.channels().create_channel(with_bot(ROBIN)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(fixture.service.appended::<ChannelCreated>().await.is_empty());
}

fn with_sender(sender: uuid::Uuid) -> CreateChannelRequest {
    let transcript_sender_id = sender.to_string();
    CreateChannelRequest { transcript_sender_id, request_id: request_id(), ..new_channel() }
}

async fn t5_a_channel_names_a_sender_that_exists_verified_or_not(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut channels = fixture.channels();
    let refused = channels.create_channel(with_sender(new_id())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SENDER_UNKNOWN"));
    assert!(refused.message().starts_with("transcript_sender_id: "), "{}", refused.message());
    assert!(fixture.service.appended::<ChannelCreated>().await.is_empty());
    let created = channels.create_channel(with_sender(SALES)).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(created.transcript_sender_id, SALES.to_string());
    let without = channels.create_channel(new_channel()).await.unwrap().into_inner().channel.unwrap();
    assert!(without.transcript_sender_id.is_empty());
    assert_eq!(fixture.service.fake.calls::<GetSenderRequest>(), 2, "a channel without one asks about none");
}

async fn t5_nothing_is_created_while_the_senders_service_does_not_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.service.fake.on(|_: Request<GetSenderRequest>| Err::<GetSenderResponse, _>(Status::internal("broken")));
    let refused = fixture.channels().create_channel(with_sender(SALES)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("notification"), "{}", refused.message());
    assert!(fixture.service.appended::<ChannelCreated>().await.is_empty());
}

async fn t1_a_new_channel_mails_transcripts_unless_the_request_says_otherwise(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for (requested, stored) in [(None, true), (Some(true), true), (Some(false), false)] {
        let request = CreateChannelRequest { transcript_enabled: requested, ..new_channel() };
        let created = fixture.channels().create_channel(request).await.unwrap().into_inner().channel.unwrap();
        assert_eq!(created.transcript_enabled, stored, "{requested:?}");
    }
}
