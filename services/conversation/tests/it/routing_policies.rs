//! Routing policies of channels: which channels name one, what the events of their conversations say, the local copy, and the consumer
//! `conversation.routing_policies`. Rules A4, B8, S2.

use frontdesk_proto::{
    assignment::v1::{GetRoutingPolicyRequest, GetRoutingPolicyResponse, RoutingPolicy},
    conversation::v1::{
        Channel, CreateChannelRequest, GetChannelRequest, ListChannelsRequest, NoGreeter, UpdateChannelRequest,
        channel, channel_service_client::ChannelServiceClient, create_channel_request, update_channel_request::Greeter,
    },
    event::v1::{ConversationStarted, Event, RoutingPolicyChanged},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, reason};
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, ROBIN, new_channel};

on_both_modes!(
    a4_a_channel_gets_a_routing_policy_that_exists_and_loses_it,
    a4_a_conversation_of_a_channel_with_routing_says_by_which_policy_it_waits,
    a4_a_channel_says_that_a_policy_it_names_was_deleted_until_it_is_undeleted,
    a4_a_deletion_that_arrives_before_the_channel_names_the_policy_is_not_undone,
    a4_an_event_about_a_policy_that_does_not_exist_is_a_dead_letter_and_the_next_is_handled,
    s2_a_deleted_policy_of_another_account_deletes_none,
);

/// Answers that the policy exists, and whether it is deleted.
fn answer(fixture: &Fixture, deleted: bool, version: i32) {
    fixture.service.fake.on(move |request: Request<GetRoutingPolicyRequest>| {
        let id = request.into_inner().routing_policy_id;
        let delete_time = deleted.then(|| frontdesk_clock::Time(1).to_proto());
        let policy = RoutingPolicy { id, delete_time, version, ..RoutingPolicy::default() };
        Ok(GetRoutingPolicyResponse { routing_policy: Some(policy) })
    });
}

fn refuse(fixture: &Fixture, status: Status) {
    fixture
        .service
        .fake
        .on(move |_: Request<GetRoutingPolicyRequest>| Err::<GetRoutingPolicyResponse, _>(status.clone()));
}

fn routed_by(policy: &str) -> CreateChannelRequest {
    let greeter = Some(create_channel_request::Greeter::RoutingPolicyId(policy.to_owned()));
    CreateChannelRequest { greeter, ..new_channel() }
}

fn update(channel: &Channel, greeter: Greeter) -> UpdateChannelRequest {
    UpdateChannelRequest { channel_id: channel.id.clone(), greeter: Some(greeter), ..UpdateChannelRequest::default() }
}

async fn a4_a_channel_gets_a_routing_policy_that_exists_and_loses_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (channel, policy) = (fixture.channel().await, new_id().to_string());
    let mut channels = fixture.channels();
    let with = update(&channel, Greeter::RoutingPolicyId(policy.clone()));
    refuse(&fixture, Status::not_found("no such policy"));
    let unknown = channels.update_channel(with.clone()).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::FailedPrecondition, "ROUTING_POLICY_UNKNOWN"));
    let unknown = channels.create_channel(routed_by(&policy)).await.unwrap_err();
    assert_eq!(reason(&unknown), "ROUTING_POLICY_UNKNOWN");
    answer(&fixture, true, 1);
    let deleted = channels.update_channel(with.clone()).await.unwrap_err();
    assert_eq!(reason(&deleted), "ROUTING_POLICY_UNKNOWN");
    answer(&fixture, false, 2);
    let updated = channels.update_channel(with.clone()).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(updated.greeter, Some(channel::Greeter::RoutingPolicyId(policy)));
    // A repeat asks nothing, also when the policy is gone.
    refuse(&fixture, Status::unavailable("not now"));
    assert_eq!(channels.update_channel(with).await.unwrap().into_inner().channel.unwrap(), updated);
    let without = update(&updated, Greeter::NoGreeter(NoGreeter {}));
    let without = channels.update_channel(without).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(without.greeter, Some(channel::Greeter::NoGreeter(NoGreeter {})));
    let other = update(&without, Greeter::RoutingPolicyId(new_id().to_string()));
    assert_eq!(channels.update_channel(other).await.unwrap_err().code(), Code::Unavailable);
}

async fn a4_a_conversation_of_a_channel_with_routing_says_by_which_policy_it_waits(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    answer(&fixture, false, 2);
    let policy = new_id().to_string();
    let routed = fixture.create_channel(routed_by(&policy)).await;
    let plain = fixture.channel().await;
    fixture.chat_on(&routed, "one").await;
    fixture.chat_on(&plain, "two").await;
    let started = fixture.service.appended::<ConversationStarted>().await;
    let policies: Vec<&str> = started.iter().map(|started| started.routing_policy_id.as_str()).collect();
    assert_eq!(policies, [policy.as_str(), ""]);
    assert!(started.iter().all(|started| started.bot_id.is_empty() && started.epoch == 1));
}

/// The event that the policy changed is handled.
async fn deliver(fixture: &Fixture, policy: &str) {
    let changed = RoutingPolicyChanged { routing_policy_id: policy.into() };
    let event = event("assignment", fixture.account, &changed);
    fixture.service.deliver_again(&Event { aggregate_id: policy.into(), ..event }).await;
    fixture.service.settled().await;
}

async fn channel(fixture: &Fixture, id: &str) -> Channel {
    let request = GetChannelRequest { channel_id: id.into() };
    fixture.channels().get_channel(request).await.unwrap().into_inner().channel.unwrap()
}

async fn a4_a_channel_says_that_a_policy_it_names_was_deleted_until_it_is_undeleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    answer(&fixture, false, 2);
    let (policy, other) = (new_id().to_string(), new_id().to_string());
    let greeter = Some(create_channel_request::Greeter::BotId(ROBIN.to_string()));
    let with_bot = CreateChannelRequest { greeter, hand_off_routing_policy_id: policy.clone(), ..new_channel() };
    let with_bot = fixture.create_channel(with_bot).await;
    let both = CreateChannelRequest { hand_off_routing_policy_id: other.clone(), ..routed_by(&policy) };
    let both = fixture.create_channel(both).await;
    let plain = fixture.create_channel(routed_by(&other)).await;
    let all = [&with_bot, &both, &plain];
    assert!(all.iter().all(|one| !one.routing_policy_deleted && !one.hand_off_routing_policy_deleted));

    answer(&fixture, true, 3);
    let deleted = [
        Channel { hand_off_routing_policy_deleted: true, ..with_bot.clone() },
        Channel { routing_policy_deleted: true, ..both.clone() },
        plain.clone(),
    ];
    // Again, and after it an older answer.
    for version in [3, 3, 2] {
        answer(&fixture, version == 3, version);
        deliver(&fixture, &policy).await;
        for expected in &deleted {
            assert_eq!(channel(&fixture, &expected.id).await, *expected, "version {version}");
        }
    }
    let listed = fixture.channels().list_channels(ListChannelsRequest::default()).await.unwrap().into_inner().channels;
    assert_eq!(listed.len(), deleted.len());
    assert!(deleted.iter().all(|expected| listed.contains(expected)), "version and etag are the same");
    // Its chats are routed all the same: the assignment service lets them wait in the default queue.
    fixture.chat_on(&both, "v").await;
    let started = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!(started.routing_policy_id, policy);

    answer(&fixture, false, 4);
    deliver(&fixture, &policy).await;
    for expected in all {
        assert_eq!(channel(&fixture, &expected.id).await, *expected);
    }
}

async fn a4_a_deletion_that_arrives_before_the_channel_names_the_policy_is_not_undone(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (created, policy) = (fixture.channel().await, new_id().to_string());
    answer(&fixture, true, 2);
    deliver(&fixture, &policy).await;
    // The assignment service answered before the deletion.
    answer(&fixture, false, 1);
    let change = update(&created, Greeter::RoutingPolicyId(policy.clone()));
    let updated = fixture.channels().update_channel(change).await.unwrap().into_inner().channel.unwrap();
    assert!(updated.routing_policy_deleted);
    let other = update(&created, Greeter::RoutingPolicyId(new_id().to_string()));
    let updated = fixture.channels().update_channel(other).await.unwrap().into_inner().channel.unwrap();
    assert!(!updated.routing_policy_deleted, "another policy");
}

async fn a4_an_event_about_a_policy_that_does_not_exist_is_a_dead_letter_and_the_next_is_handled(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    answer(&fixture, false, 1);
    let policy = new_id().to_string();
    let created = fixture.create_channel(routed_by(&policy)).await;
    refuse(&fixture, Status::not_found("no such policy"));
    deliver(&fixture, &new_id().to_string()).await;
    deliver(&fixture, "no id").await;
    assert!(!channel(&fixture, &created.id).await.routing_policy_deleted);
    answer(&fixture, true, 2);
    deliver(&fixture, &policy).await;
    assert!(channel(&fixture, &created.id).await.routing_policy_deleted);
}

async fn s2_a_deleted_policy_of_another_account_deletes_none(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    answer(&fixture, false, 1);
    let policy = new_id().to_string();
    let here = fixture.create_channel(routed_by(&policy)).await;
    let mut elsewhere = ChannelServiceClient::new(fixture.in_another_account().as_admin());
    let there = elsewhere.create_channel(routed_by(&policy)).await.unwrap().into_inner().channel.unwrap();
    answer(&fixture, true, 2);
    deliver(&fixture, &policy).await;
    assert!(channel(&fixture, &here.id).await.routing_policy_deleted);
    let request = GetChannelRequest { channel_id: there.id.clone() };
    assert_eq!(elsewhere.get_channel(request).await.unwrap().into_inner().channel, Some(there));
}
