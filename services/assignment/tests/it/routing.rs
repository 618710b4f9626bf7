//! Which agents get the conversations that wait: rules A4, A5, A6, B8, S2.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        Agent, AgentCapacity, AssignmentCause, Availability, CreateOpeningHoursRequest, DeleteRoutingPolicyRequest,
        ExplainRoutingRequest, GetQueuePlaceRequest, NotRoutedReason, OpeningSchedule, OutsideOpeningHours,
        RoutingRules, RoutingStep, RoutingStrategy, UpdateAgentRequest, WeeklyRange,
        agent_capacity::{Limit, Unlimited},
        opening_hours_service_client::OpeningHoursServiceClient,
    },
    event::v1::{ConversationClosed, ConversationHandedOff, ConversationStarted, Event},
};
use frontdesk_testkit::{Mode, event, new_id, wait_until};
use prost::Name;
use tonic::Code;
use uuid::Uuid;

use crate::fixture::{Fixture, account, anybody, rejection, take_over};

frontdesk_testkit::on_both_modes! {
    a4_a_conversation_goes_to_the_available_agent_with_the_fewest_open_and_the_history_says_so,
    a4_round_robin_gives_everybody_the_same,
    a4_the_next_step_joins_without_any_event_when_the_conversation_has_waited,
    a4_the_contacts_owner_comes_first,
    a4_routing_begins_at_the_opening_without_any_event,
    a4_outside_of_opening_hours_a_conversation_leaves_routing_where_the_policy_says_so,
    a4_conversations_of_a_deleted_policy_wait_in_the_default_queue,
    a6_the_oldest_comes_first_and_a_close_moves_the_queue,
    a6_a_higher_capacity_moves_the_queue,
    a5_an_agent_gets_more_than_their_capacity_by_hand_and_not_from_routing,
    a6_events_in_any_order_and_number_have_one_effect,
    b8_a_hand_off_without_an_agent_waits_in_the_default_queue,
    a4_an_explanation_names_the_agent_and_every_reason_and_reserves_nothing,
    s2_conversations_of_another_account_are_not_found_and_its_agents_get_none,
}

/// The event of a conversation at a version of it.
pub fn at(account: AccountId, conversation: Uuid, version: i32, message: &impl Name) -> Event {
    let aggregate_id = conversation.to_string();
    Event { aggregate_id, version, ..event("conversation", account, message) }
}

/// The start of a conversation that is routed, at this microsecond.
pub fn started(account: AccountId, conversation: Uuid, policy: &str, microsecond: i64) -> Event {
    let started = ConversationStarted {
        conversation_id: conversation.to_string(),
        epoch: 1,
        start_time: Some(Time(microsecond).to_proto()),
        routing_policy_id: policy.into(),
        ..ConversationStarted::default()
    };
    at(account, conversation, 1, &started)
}

pub fn closed(account: AccountId, conversation: Uuid, version: i32) -> Event {
    let closed = ConversationClosed { conversation_id: conversation.to_string(), ..ConversationClosed::default() };
    at(account, conversation, version, &closed)
}

pub async fn handle(service: &Fixture, events: &[Event]) {
    for event in events {
        service.deliver_again(event).await;
    }
    service.settled().await;
}

/// A conversation that waits by the policy since this microsecond.
pub async fn queued(service: &Fixture, account: AccountId, policy: &str, microsecond: i64) -> Uuid {
    let conversation = service.conversation();
    handle(service, &[started(account, conversation, policy, microsecond)]).await;
    conversation
}

async fn a4_a_conversation_goes_to_the_available_agent_with_the_fewest_open_and_the_history_says_so(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    service.agent(here, "away").await;
    let (ada, bob) = (service.available(here, "ada", 2).await, service.available(here, "bob", 2).await);
    let first = queued(&service, here, &policy.id, 5).await;
    let second = {
        service.routed(first).await;
        queued(&service, here, &policy.id, 6).await
    };
    let mut owners = [service.routed(first).await, service.routed(second).await];
    owners.sort();
    let mut expected = [ada.id.clone(), bob.id.clone()];
    expected.sort();
    assert_eq!(owners, expected);
    wait_until("the history", || async {
        service.history(here, first).await.iter().any(|entry| entry.cause() == AssignmentCause::Routed)
    })
    .await;
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 1 }).await;
    assert_eq!(service.place(here, first).await, (0, 0));
}

async fn a4_round_robin_gives_everybody_the_same(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::RoundRobin)).await;
    let mut agents = Vec::new();
    for handle in ["ada", "bob", "cleo"] {
        agents.push(service.available(here, handle, 50).await);
    }
    let mut counts = std::collections::BTreeMap::new();
    for number in 0..9 {
        let conversation = queued(&service, here, &policy.id, 5 + number).await;
        *counts.entry(service.routed(conversation).await).or_insert(0) += 1;
    }
    assert_eq!(counts.values().copied().collect::<Vec<i32>>(), [3, 3, 3]);
}

async fn a4_the_next_step_joins_without_any_event_when_the_conversation_has_waited(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (away, free) = (service.agent(here, "away").await, service.available(here, "free", 5).await);
    let first = RoutingStep {
        agent_ids: vec![away.id],
        widen_after: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..RoutingStep::default()
    };
    let mut rules = anybody(RoutingStrategy::FewestOpen);
    rules.steps.insert(0, first);
    let policy = service.policy(here, "Widens", rules).await;
    let now = service.db.now().await.unwrap();
    let conversation = queued(&service, here, &policy.id, now.0).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    assert_eq!(service.owner(conversation), (1, String::new()));
    service.clock.advance(Duration::from_secs(61)).unwrap();
    assert_eq!(service.routed(conversation).await, free.id);
}

async fn a4_the_contacts_owner_comes_first(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut rules = anybody(RoutingStrategy::FewestOpen);
    let widen_after = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    rules.steps.insert(0, RoutingStep { contact_owner: true, widen_after, ..RoutingStep::default() });
    let policy = service.policy(here, "Owner", rules).await;
    service.available(here, "ada", 5).await;
    let owner = service.available(here, "owner", 5).await;
    for number in 0..3 {
        let conversation = service.conversation();
        let started = ConversationStarted {
            conversation_id: conversation.to_string(),
            epoch: 1,
            start_time: Some(Time(5 + number).to_proto()),
            routing_policy_id: policy.id.clone(),
            contact_owner_agent_id: owner.id.clone(),
            ..ConversationStarted::default()
        };
        handle(&service, &[at(here, conversation, 1, &started)]).await;
        assert_eq!(service.routed(conversation).await, owner.id);
    }
}

/// Opening hours in UTC that begin in an hour, and end an hour later.
pub async fn opening_in_an_hour(service: &Fixture, here: AccountId) -> String {
    let minute = i32::try_from(service.db.now().await.unwrap().0 / 60_000_000 % 1_440).unwrap();
    let (start_minute, end_minute) = ((minute + 60) % 1_440, (minute + 120) % 1_440);
    let end_minute = if end_minute == 0 { 1_440 } else { end_minute };
    let weekly_ranges = (1..=7).map(|weekday| WeeklyRange { weekday, start_minute, end_minute }).collect();
    let schedule = OpeningSchedule { time_zone: "UTC".into(), weekly_ranges, exceptions: Vec::new() };
    let request = CreateOpeningHoursRequest { name: "Later".into(), schedule: Some(schedule), request_id: "1".into() };
    let mut calls = OpeningHoursServiceClient::new(service.calls(here, CallerKind::Admin, "root"));
    calls.create_opening_hours(request).await.unwrap().into_inner().opening_hours.unwrap().id
}

/// Agents need not be available: their heartbeats would end before the opening.
pub fn in_hours(opening_hours_id: String, outside: OutsideOpeningHours) -> RoutingRules {
    RoutingRules {
        only_available: false,
        opening_hours_id,
        outside_opening_hours: outside.into(),
        ..anybody(RoutingStrategy::FewestOpen)
    }
}

async fn a4_routing_begins_at_the_opening_without_any_event(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = opening_in_an_hour(&service, here).await;
    let policy = service.policy(here, "Hours", in_hours(hours, OutsideOpeningHours::Wait)).await;
    let ada = service.agent(here, "ada").await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    let request = ExplainRoutingRequest { conversation_id: conversation.to_string() };
    let explained = service.routing(here).explain_routing(request).await.unwrap().into_inner();
    assert_eq!(explained.agent_id, "");
    assert_eq!(explained.candidates[0].reasons, [i32::from(NotRoutedReason::OutsideOpeningHours)]);
    assert_eq!(service.owner(conversation), (1, String::new()));
    service.clock.advance(Duration::from_secs(61 * 60)).unwrap();
    assert_eq!(service.routed(conversation).await, ada.id);
}

async fn a4_outside_of_opening_hours_a_conversation_leaves_routing_where_the_policy_says_so(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = opening_in_an_hour(&service, here).await;
    let policy = service.policy(here, "Hours", in_hours(hours, OutsideOpeningHours::Unassigned)).await;
    let all = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    service.agent(here, "ada").await;
    let conversation = service.conversation();
    let begins = started(here, conversation, &policy.id, 5);
    handle(&service, std::slice::from_ref(&begins)).await;
    wait_until("the conversation to leave", || async { service.place(here, conversation).await == (0, 0) }).await;
    // A repeat of the event does not bring it back, and neither does the opening.
    handle(&service, &[begins]).await;
    service.clock.advance(Duration::from_secs(61 * 60)).unwrap();
    service.available(here, "bob", 5).await;
    let later = queued(&service, here, &all.id, 9).await;
    service.routed(later).await;
    assert_eq!(service.place(here, conversation).await, (0, 0));
    assert_eq!(service.owner(conversation), (1, String::new()));
}

async fn a4_conversations_of_a_deleted_policy_wait_in_the_default_queue(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let away = service.agent(here, "away").await;
    let only_away = RoutingStep { agent_ids: vec![away.id], ..RoutingStep::default() };
    let rules = RoutingRules { steps: vec![only_away], ..anybody(RoutingStrategy::RoundRobin) };
    let policy = service.policy(here, "Away", rules).await;
    let ada = service.available(here, "ada", 5).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy.id };
    service.policies(here).delete_routing_policy(delete).await.unwrap();
    assert_eq!(service.routed(conversation).await, ada.id);
}

async fn a6_the_oldest_comes_first_and_a_close_moves_the_queue(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversations = [30, 10, 20].map(|since| (since, service.conversation()));
    for (since, conversation) in conversations {
        handle(&service, &[started(here, conversation, &policy.id, since)]).await;
    }
    let [third, first, second] = conversations.map(|(_, conversation)| conversation);
    for (place, conversation) in [(1, first), (2, second), (3, third)] {
        assert_eq!(service.place(here, conversation).await, (place, 3));
    }
    let ada = service.available(here, "ada", 1).await;
    for (conversation, behind) in [(first, Some(second)), (second, Some(third)), (third, None)] {
        assert_eq!(service.routed(conversation).await, ada.id);
        if let Some(behind) = behind {
            assert_eq!(service.owner(behind), (1, String::new()));
        }
        handle(&service, &[closed(here, conversation, 3)]).await;
    }
}

async fn a6_a_higher_capacity_moves_the_queue(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.available(here, "ada", 0).await;
    let conversations = [10, 20, 30].map(|since| (since, service.conversation()));
    for (since, conversation) in conversations {
        handle(&service, &[started(here, conversation, &policy.id, since)]).await;
    }
    let [first, second, third] = conversations.map(|(_, conversation)| conversation);
    assert_eq!(service.place(here, first).await, (1, 3));
    let set_capacity = async |limit: Limit| {
        let capacity = Some(AgentCapacity { limit: Some(limit) });
        let update = UpdateAgentRequest { agent_id: ada.id.clone(), capacity, ..UpdateAgentRequest::default() };
        service.roster(here).update_agent(update).await.unwrap();
    };
    set_capacity(Limit::Conversations(1)).await;
    assert_eq!(service.routed(first).await, ada.id);
    wait_until("the confirmation", || async { service.place(here, first).await == (0, 0) }).await;
    assert_eq!((service.owner(second), service.place(here, second).await), ((1, String::new()), (1, 2)));
    set_capacity(Limit::Unlimited(Unlimited {})).await;
    for conversation in [second, third] {
        assert_eq!(service.routed(conversation).await, ada.id);
    }
}

async fn a5_an_agent_gets_more_than_their_capacity_by_hand_and_not_from_routing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.available(here, "ada", 1).await;
    let first = queued(&service, here, &policy.id, 5).await;
    assert_eq!(service.routed(first).await, ada.id);
    let (second, third) = (queued(&service, here, &policy.id, 6).await, queued(&service, here, &policy.id, 7).await);
    service.calls_of(here, &ada).take_over_conversation(take_over(second, 1, "1")).await.unwrap();
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 2 }).await;
    // One close leaves as many as she can take.
    handle(&service, &[closed(here, first, 3)]).await;
    let request = ExplainRoutingRequest { conversation_id: third.to_string() };
    let explained = service.routing(here).explain_routing(request).await.unwrap().into_inner();
    assert_eq!(explained.candidates[0].reasons, [i32::from(NotRoutedReason::Full)]);
    assert_eq!(service.owner(third), (1, String::new()));
    handle(&service, &[closed(here, second, 3)]).await;
    assert_eq!(service.routed(third).await, ada.id);
}

async fn a6_events_in_any_order_and_number_have_one_effect(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let over = service.conversation();
    handle(&service, &[closed(here, over, 2), started(here, over, &policy.id, 5)]).await;
    assert_eq!(service.place(here, over).await, (0, 0));

    let conversation = service.conversation();
    let begins = started(here, conversation, &policy.id, 6);
    handle(&service, &vec![begins.clone(); 20]).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    let ada = service.available(here, "ada", 5).await;
    assert_eq!(service.routed(conversation).await, ada.id);
    handle(&service, &vec![begins; 20]).await;
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 1 }).await;
    assert_eq!((service.owner(conversation).0, service.place(here, conversation).await), (2, (0, 0)));
}

async fn b8_a_hand_off_without_an_agent_waits_in_the_default_queue(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let conversation = service.conversation();
    let handed_off = ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 1,
        bot_id: new_id().to_string(),
        change_time: Some(Time(5).to_proto()),
        ..ConversationHandedOff::default()
    };
    handle(&service, &[at(here, conversation, 2, &handed_off)]).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    let ada = service.available(here, "ada", 5).await;
    assert_eq!(service.routed(conversation).await, ada.id);
}

async fn a4_an_explanation_names_the_agent_and_every_reason_and_reserves_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let away = service.agent(here, "away").await;
    let only_away = RoutingStep { agent_ids: vec![away.id.clone()], ..RoutingStep::default() };
    let rules = RoutingRules { steps: vec![only_away], ..anybody(RoutingStrategy::RoundRobin) };
    let policy = service.policy(here, "Away", rules).await;
    let none = service.available(here, "none", 0).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    let request = ExplainRoutingRequest { conversation_id: conversation.to_string() };
    let explained = service.routing(here).explain_routing(request.clone()).await.unwrap().into_inner();
    assert_eq!((explained.agent_id.as_str(), explained.routing_policy_id.as_str()), ("", policy.id.as_str()));
    assert!(explained.as_of_time.is_some());
    let reasons = |agent: &Agent| {
        let candidate = explained.candidates.iter().find(|candidate| candidate.agent_id == agent.id).unwrap();
        candidate.reasons().collect::<Vec<_>>()
    };
    assert_eq!(reasons(&away), [NotRoutedReason::Away]);
    assert_eq!(reasons(&none), [NotRoutedReason::NotInStep, NotRoutedReason::CapacityZero]);
    assert_eq!(service.place(here, conversation).await, (1, 1));
    service.set_availability(here, &away, Availability::Available).await;
    service.routed(conversation).await;
    wait_until("the end of the wait", || async { service.place(here, conversation).await == (0, 0) }).await;
    let refused = service.routing(here).explain_routing(request).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "NOT_QUEUED".into()));
}

async fn s2_conversations_of_another_account_are_not_found_and_its_agents_get_none(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    service.available(there, "zed", 5).await;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    let conversation_id = conversation.to_string();
    let mut elsewhere = service.routing(there);
    let place = GetQueuePlaceRequest { conversation_id: conversation_id.clone() };
    let refused = [
        elsewhere.get_queue_place(place).await.map(drop),
        elsewhere.explain_routing(ExplainRoutingRequest { conversation_id }).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(rejection(&refused.unwrap_err()), (Code::NotFound, "NOT_FOUND".into()));
    }
    let ada = service.available(here, "ada", 5).await;
    assert_eq!(service.routed(conversation).await, ada.id);
}
