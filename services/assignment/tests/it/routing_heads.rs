//! Queues that are longer than what one decision reads: rule A6.

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{RoutingRules, RoutingStep, RoutingStrategy},
    event::v1::{ConversationStarted, Event},
};
use frontdesk_testkit::{Mode, new_id};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{at, handle},
};

frontdesk_testkit::on_both_modes! {
    a6_a_hundred_conversations_of_an_absent_owner_do_not_hide_the_one_of_an_owner_who_is_here,
}

/// The start of a conversation of a contact of this agent.
fn started_for(here: AccountId, conversation: Uuid, policy: &str, owner: &str, microsecond: i64) -> Event {
    let started = ConversationStarted {
        conversation_id: conversation.to_string(),
        epoch: 1,
        start_time: Some(frontdesk_clock::Time(microsecond).to_proto()),
        routing_policy_id: policy.into(),
        contact_owner_agent_id: owner.into(),
        ..ConversationStarted::default()
    };
    at(here, conversation, 1, &started)
}

async fn a6_a_hundred_conversations_of_an_absent_owner_do_not_hide_the_one_of_an_owner_who_is_here(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let only_owner = RoutingStep { contact_owner: true, ..RoutingStep::default() };
    let rules = RoutingRules { steps: vec![only_owner], ..anybody(RoutingStrategy::FewestOpen) };
    let policy = service.policy(here, "Owners", rules).await;
    // Away, with places that nobody uses.
    let absent = service.agent(here, "absent").await;
    let waiting = (0..100).map(|number| started_for(here, new_id(), &policy.id, &absent.id, 5 + number));
    handle(&service, &waiting.collect::<Vec<_>>()).await;
    let present = service.available(here, "present", 1).await;
    let conversation = service.conversation();
    handle(&service, &[started_for(here, conversation, &policy.id, &present.id, 1_000)]).await;
    assert_eq!(service.routed(conversation).await, present.id);
}
