//! Routing policies of channels: which channels name one, and what the events of their conversations say. Rules A4, B8.

use frontdesk_proto::{
    assignment::v1::{GetRoutingPolicyRequest, GetRoutingPolicyResponse, RoutingPolicy},
    conversation::v1::{
        Channel, CreateChannelRequest, NoGreeter, UpdateChannelRequest, channel, create_channel_request,
        update_channel_request::Greeter,
    },
    event::v1::ConversationStarted,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, new_channel};

on_both_modes!(
    a4_a_channel_gets_a_routing_policy_that_exists_and_loses_it,
    a4_a_conversation_of_a_channel_with_routing_says_by_which_policy_it_waits,
);

/// Answers that the policy exists, and whether it is deleted.
fn answer(fixture: &Fixture, deleted: bool) {
    fixture.service.fake.on(move |request: Request<GetRoutingPolicyRequest>| {
        let id = request.into_inner().routing_policy_id;
        let delete_time = deleted.then(|| frontdesk_clock::Time(1).to_proto());
        let policy = RoutingPolicy { id, delete_time, ..RoutingPolicy::default() };
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
    answer(&fixture, true);
    let deleted = channels.update_channel(with.clone()).await.unwrap_err();
    assert_eq!(reason(&deleted), "ROUTING_POLICY_UNKNOWN");
    answer(&fixture, false);
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
    answer(&fixture, false);
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
