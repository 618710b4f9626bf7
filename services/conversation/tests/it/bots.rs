//! The local copy of bots: the consumer `conversation.bots` and `ApplyBot`.

use frontdesk_proto::{
    botsession::v1::{GetBotRequest, GetBotResponse},
    conversation::{
        internal::v1::ApplyBotRequest,
        v1::{Channel, CreateChannelRequest, GetChannelRequest, ListChannelsRequest, create_channel_request::Greeter},
    },
    event::v1::{BotDeleted, BotUndeleted, ConversationStarted, Event},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes};
use tonic::Request;

use crate::{
    fixture::{Fixture, ROBIN, TIMEOUT, new_channel, robin},
    routing_of_conversations::every_policy_exists,
};

on_both_modes!(
    b1_chats_start_unassigned_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing,
    b1_chats_start_with_the_bot_again_once_it_was_undeleted,
    b1_an_applied_deletion_is_in_force_without_an_event_and_an_older_state_changes_nothing,
    b1_a4_a_channel_says_that_its_bot_was_deleted_and_its_chats_wait_for_people,
);

fn answer(fixture: &Fixture, deleted: bool, version: i32) {
    fixture.service.fake.on(move |_: Request<GetBotRequest>| Ok(GetBotResponse { bot: Some(robin(deleted, version)) }));
}

async fn deliver<M: prost::Message + prost::Name>(fixture: &Fixture, message: &M) {
    let event = event("bot-session", fixture.account, message);
    fixture.service.deliver_again(&Event { aggregate_id: ROBIN.to_string(), ..event }).await;
    fixture.service.settled().await;
}

async fn b1_chats_start_with_the_bot_again_once_it_was_undeleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    let bot_id = ROBIN.to_string();
    answer(&fixture, true, 2);
    deliver(&fixture, &BotDeleted { bot_id: bot_id.clone() }).await;
    let without = fixture.chat_on(&channel, "a").await;
    assert!(fixture.conversation(&without.id).await.bot_session.is_none());
    answer(&fixture, false, 3);
    deliver(&fixture, &BotUndeleted { bot_id }).await;
    let with = fixture.chat_on(&channel, "b").await;
    assert!(fixture.conversation(&with.id).await.bot_session.is_some());
}

async fn b1_chats_start_unassigned_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    answer(&fixture, true, 2);
    let bot_id = ROBIN.to_string();
    let deleted = BotDeleted { bot_id };
    deliver(&fixture, &deleted).await;
    for (visitor, is_deleted, version) in [("a", true, 2), ("b", false, 1)] {
        answer(&fixture, is_deleted, version);
        deliver(&fixture, &deleted).await;
        let chat = fixture.chat_on(&channel, visitor).await;
        assert!(fixture.conversation(&chat.id).await.bot_session.is_none());
    }
}

async fn b1_an_applied_deletion_is_in_force_without_an_event_and_an_older_state_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    // Last, a version that is given again, as after a restore of the bots to an older point in time.
    let states =
        [(true, 2, 2, false), (false, 1, 2, false), (false, 3, 3, true), (true, 2, 3, true), (true, 3, 3, false)];
    for (number, (deleted, version, in_force, greets)) in states.into_iter().enumerate() {
        let request = ApplyBotRequest {
            bot_id: ROBIN.to_string(),
            name: "Robin".into(),
            inactivity_timeout: Some(TIMEOUT.try_into().unwrap()),
            deleted,
            version,
        };
        let request = fixture.on_behalf_of("service:bot-session", request);
        let answer = fixture.arbiter("bot-session").apply_bot(request).await.unwrap().into_inner();
        assert_eq!(answer.version, in_force, "state {number}");
        let chat = fixture.chat_on(&channel, &format!("v{number}")).await;
        assert_eq!(fixture.conversation(&chat.id).await.bot_session.is_some(), greets, "state {number}");
    }
}

async fn channel(fixture: &Fixture, id: &str) -> Channel {
    let request = GetChannelRequest { channel_id: id.into() };
    fixture.channels().get_channel(request).await.unwrap().into_inner().channel.unwrap()
}

async fn b1_a4_a_channel_says_that_its_bot_was_deleted_and_its_chats_wait_for_people(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    every_policy_exists(&fixture);
    let policy = new_id().to_string();
    let request = CreateChannelRequest {
        greeter: Some(Greeter::BotId(ROBIN.to_string())),
        hand_off_routing_policy_id: policy.clone(),
        ..new_channel()
    };
    let routed = fixture.create_channel(request).await;
    let (plain, without) = (fixture.bot_channel().await, fixture.channel().await);
    assert!(![&routed, &plain, &without].into_iter().any(|channel| channel.bot_deleted));
    answer(&fixture, true, 2);
    deliver(&fixture, &BotDeleted { bot_id: ROBIN.to_string() }).await;
    let deleted = Channel { bot_deleted: true, ..routed.clone() };
    assert_eq!(channel(&fixture, &routed.id).await, deleted, "neither version nor etag change");
    let listed = fixture.channels().list_channels(ListChannelsRequest::default()).await.unwrap().into_inner().channels;
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|one| one.bot_deleted == (one.id != without.id)));
    for (number, on) in [&routed, &plain, &without].into_iter().enumerate() {
        let chat = fixture.chat_on(on, &format!("v{number}")).await;
        assert!(fixture.conversation(&chat.id).await.assignee.is_none());
    }
    let started = fixture.service.appended::<ConversationStarted>().await;
    let policies: Vec<&str> = started.iter().map(|started| started.routing_policy_id.as_str()).collect();
    assert_eq!(policies, [policy.as_str(), "", ""]);
    assert!(started.iter().all(|started| started.bot_id.is_empty() && started.hand_off_routing_policy_id.is_empty()));
    answer(&fixture, false, 3);
    deliver(&fixture, &BotUndeleted { bot_id: ROBIN.to_string() }).await;
    assert_eq!(channel(&fixture, &routed.id).await, routed);
    fixture.chat_on(&routed, "v3").await;
    let greeted = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!((greeted.bot_id, greeted.hand_off_routing_policy_id), (ROBIN.to_string(), policy));
}
