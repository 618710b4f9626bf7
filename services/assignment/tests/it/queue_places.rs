//! The places of conversations in their queues, and what is published of them: rules A4, A6, C9, C10, S2.

use std::time::Duration;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        DeleteRoutingPolicyRequest, DeleteTeamRequest, ExplainRoutingRequest, GetQueuePlaceRequest,
        GetQueuePlacesRequest, QueuePlace, RoutingRules, RoutingStep, RoutingStrategy, UndeleteTeamRequest,
        UpdateRoutingPolicyRequest, WatchQueuePlaceRequest, WatchQueuePlaceResponse,
        watch_queue_place_response::Update,
    },
    event::v1::{ConversationHandedOff, ConversationQueueChanged},
};
use frontdesk_testkit::{Mode, new_id, wait_until};
use tokio::time::timeout;
use tonic::{Code, Streaming};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody, rejection},
    routing::{at, closed, handle, started},
};

frontdesk_testkit::on_both_modes! {
    a6_the_expected_wait_follows_the_assignments_of_the_queue_and_is_unset_without_evidence,
    a4_a6_a_conversation_of_a_deleted_policy_has_its_place_in_the_default_queue_in_each_call,
    a6_the_places_of_many_conversations_leave_out_those_that_do_not_wait,
    a6_c10_a_watched_place_moves_up_and_ends_with_0,
    c9_the_teams_of_a_conversation_are_published_when_steps_join_and_policies_and_teams_change,
    a6_of_a_conversation_that_gets_an_agent_at_once_nothing_is_published,
    a6_a_conversation_that_waits_again_is_published_under_its_new_epoch,
    a6_b8_c9_a_team_that_a_bot_named_has_a_queue_of_its_own_until_it_is_deleted,
    s2_the_place_of_another_accounts_conversation_is_not_found,
}

/// Conversations that wait by the policy, each a microsecond longer than the next one.
async fn queued(service: &Fixture, here: AccountId, policy: &str, since: i64, count: usize) -> Vec<Uuid> {
    let mut conversations = Vec::new();
    for number in 0..count {
        let conversation = service.conversation();
        let microsecond = since + i64::try_from(number).unwrap();
        handle(service, &[started(here, conversation, policy, microsecond)]).await;
        conversations.push(conversation);
    }
    conversations
}

async fn now(service: &Fixture) -> i64 {
    service.db.now().await.unwrap().0
}

async fn expected_wait(service: &Fixture, here: AccountId, conversation: Uuid) -> Option<i64> {
    let request = GetQueuePlaceRequest { conversation_id: conversation.to_string() };
    let place = service.routing(here).get_queue_place(request).await.unwrap().into_inner();
    place.expected_wait.map(|wait| wait.seconds)
}

async fn a6_the_expected_wait_follows_the_assignments_of_the_queue_and_is_unset_without_evidence(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    // Agents need not be available: their heartbeats would end while the clock moves.
    let rules = RoutingRules { only_available: false, ..anybody(RoutingStrategy::FewestOpen) };
    let policy = service.policy(here, "All", rules).await;
    let since = now(&service).await - 100_000_000;
    let conversations = queued(&service, here, &policy.id, since, 4).await;
    let last = conversations[3];
    assert_eq!(expected_wait(&service, here, last).await, None);
    let ada = service.available(here, "ada", 1).await;
    for (number, conversation) in conversations[..3].iter().enumerate() {
        assert_eq!(service.routed(*conversation).await, ada.id);
        let left = i32::try_from(3 - number).unwrap();
        wait_until("the next place", || async { service.place(here, last).await == (left, left) }).await;
        if number < 2 {
            assert_eq!(expected_wait(&service, here, last).await, None, "after {number}");
            service.clock.advance(Duration::from_secs(60)).unwrap();
            handle(&service, &[closed(here, *conversation, 3)]).await;
        }
    }
    let wait = expected_wait(&service, here, last).await.unwrap();
    assert!((73..=90).contains(&wait), "the mean of 100, 60 and 60 seconds at the head: {wait}");
    service.clock.advance(Duration::from_secs(2 * 60 * 60 + 1)).unwrap();
    assert_eq!(expected_wait(&service, here, last).await, None, "the evidence is too old");
}

async fn a4_a6_a_conversation_of_a_deleted_policy_has_its_place_in_the_default_queue_in_each_call(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::RoundRobin)).await;
    let first = service.conversation();
    let handed_off = ConversationHandedOff {
        conversation_id: first.to_string(),
        epoch: 1,
        bot_id: new_id().to_string(),
        change_time: Some(frontdesk_clock::Time(5).to_proto()),
        ..ConversationHandedOff::default()
    };
    handle(&service, &[at(here, first, 2, &handed_off)]).await;
    let second = queued(&service, here, &policy.id, 6, 1).await[0];
    assert_eq!((service.place(here, first).await, service.place(here, second).await), ((1, 1), (1, 1)));
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy.id };
    service.policies(here).delete_routing_policy(delete).await.unwrap();
    assert_eq!((service.place(here, first).await, service.place(here, second).await), ((1, 2), (2, 2)));
    let request = ExplainRoutingRequest { conversation_id: second.to_string() };
    let explained = service.routing(here).explain_routing(request).await.unwrap().into_inner();
    assert_eq!(explained.routing_policy_id, "", "the default policy");
}

async fn a6_the_places_of_many_conversations_leave_out_those_that_do_not_wait(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversations = queued(&service, here, &policy.id, 5, 3).await;
    handle(&service, &[closed(here, conversations[1], 2)]).await;
    let mut conversation_ids: Vec<String> = conversations.iter().map(Uuid::to_string).collect();
    conversation_ids.push(new_id().to_string());
    let request = GetQueuePlacesRequest { conversation_ids };
    let places = service.routing(here).get_queue_places(request.clone()).await.unwrap().into_inner().places;
    let place = |conversation: Uuid, place: i32| QueuePlace {
        conversation_id: conversation.to_string(),
        place,
        waiting: 2,
        expected_wait: None,
    };
    let mut expected = [place(conversations[0], 1), place(conversations[2], 2)];
    expected.sort_by(|one, other| one.conversation_id.cmp(&other.conversation_id));
    assert_eq!(places, expected);
    let of_others = service.routing(there).get_queue_places(request).await.unwrap().into_inner().places;
    assert_eq!(of_others, []);
    let nothing = service.routing(here).get_queue_places(GetQueuePlacesRequest::default()).await.unwrap_err();
    assert_eq!(rejection(&nothing), (Code::InvalidArgument, "INVALID_FIELDS".into()));
}

async fn watch(service: &Fixture, here: AccountId, conversation: Uuid) -> Streaming<WatchQueuePlaceResponse> {
    let request = WatchQueuePlaceRequest { conversation_id: conversation.to_string() };
    service.routing(here).watch_queue_place(request).await.unwrap().into_inner()
}

async fn next(updates: &mut Streaming<WatchQueuePlaceResponse>) -> Update {
    let response = timeout(Duration::from_secs(30), updates.message()).await.expect("an update");
    response.unwrap().unwrap().update.unwrap()
}

/// Takes updates until the place is this one.
async fn until_place(updates: &mut Streaming<WatchQueuePlaceResponse>, place: i32, waiting: i32) {
    let found = timeout(Duration::from_secs(30), async {
        loop {
            if let Update::Place(now) = next(updates).await
                && (now.place, now.waiting) == (place, waiting)
            {
                return;
            }
        }
    });
    found.await.expect("the place");
}

async fn a6_c10_a_watched_place_moves_up_and_ends_with_0(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversations = queued(&service, here, &policy.id, 5, 2).await;
    let mut updates = watch(&service, here, conversations[1]).await;
    let Update::Place(place) = next(&mut updates).await else { panic!("a watch begins with the place") };
    assert_eq!((place.conversation_id, place.place, place.waiting), (conversations[1].to_string(), 2, 2));
    assert!(matches!(next(&mut updates).await, Update::CaughtUp(_)));
    handle(&service, &[closed(here, conversations[0], 2)]).await;
    until_place(&mut updates, 1, 1).await;
    service.available(here, "ada", 1).await;
    until_place(&mut updates, 0, 0).await;
    // Nothing is resumed: a new watch begins with the place as it is.
    let mut again = watch(&service, here, conversations[1]).await;
    until_place(&mut again, 0, 0).await;
}

/// What was published of the conversation, oldest first.
async fn published(service: &Fixture, conversation: Uuid) -> Vec<ConversationQueueChanged> {
    let id = conversation.to_string();
    let mut published = service.appended::<ConversationQueueChanged>().await;
    published.retain(|changed| changed.conversation_id == id);
    published
}

/// Waits until this is the last that was published of the conversation.
async fn until_published(service: &Fixture, conversation: Uuid, epoch: i32, waiting: bool, teams: &[&str]) {
    let mut team_ids: Vec<String> = teams.iter().map(|team| (*team).to_owned()).collect();
    team_ids.sort();
    let conversation_id = conversation.to_string();
    let expected = Some(ConversationQueueChanged { conversation_id, epoch, waiting, team_ids });
    wait_until("the publication", || async { published(service, conversation).await.last().cloned() == expected })
        .await;
}

async fn c9_the_teams_of_a_conversation_are_published_when_steps_join_and_policies_and_teams_change(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (sales, shop) = (service.team(here, "Sales").await.id, service.team(here, "Shop").await.id);
    let step = |team: &str, seconds: Option<i64>| RoutingStep {
        team_ids: vec![team.to_owned()],
        widen_after: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        ..RoutingStep::default()
    };
    let steps = vec![step(&sales, Some(60)), step(&shop, None)];
    let rules = RoutingRules { steps, ..anybody(RoutingStrategy::FewestOpen) };
    let policy = service.policy(here, "Widens", rules.clone()).await;
    let conversation = queued(&service, here, &policy.id, now(&service).await, 1).await[0];
    until_published(&service, conversation, 1, true, &[&sales]).await;
    service.clock.advance(Duration::from_secs(61)).unwrap();
    until_published(&service, conversation, 1, true, &[&sales, &shop]).await;

    let steps = vec![step(&shop, None)];
    let update = UpdateRoutingPolicyRequest {
        routing_policy_id: policy.id.clone(),
        rules: Some(RoutingRules { steps, ..rules }),
        ..UpdateRoutingPolicyRequest::default()
    };
    service.policies(here).update_routing_policy(update).await.unwrap();
    until_published(&service, conversation, 1, true, &[&shop]).await;
    service.teams(here).delete_team(DeleteTeamRequest { team_id: shop.clone() }).await.unwrap();
    until_published(&service, conversation, 1, true, &[]).await;
    service.teams(here).undelete_team(UndeleteTeamRequest { team_id: shop.clone() }).await.unwrap();
    until_published(&service, conversation, 1, true, &[&shop]).await;
    let before = published(&service, conversation).await.len();
    let rename = UpdateRoutingPolicyRequest {
        routing_policy_id: policy.id.clone(),
        name: Some("Shop".into()),
        ..UpdateRoutingPolicyRequest::default()
    };
    service.policies(here).update_routing_policy(rename).await.unwrap();
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy.id };
    service.policies(here).delete_routing_policy(delete).await.unwrap();
    until_published(&service, conversation, 1, true, &[]).await;
    assert_eq!(published(&service, conversation).await.len(), before + 1, "a new name changes nothing");
    handle(&service, &[closed(here, conversation, 2)]).await;
    until_published(&service, conversation, 1, false, &[]).await;
    handle(&service, &vec![closed(here, conversation, 2); 20]).await;
    assert_eq!(published(&service, conversation).await.len(), before + 2, "repeats publish nothing");
}

async fn a6_of_a_conversation_that_gets_an_agent_at_once_nothing_is_published(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.available(here, "ada", 1).await;
    let at_once = queued(&service, here, &policy.id, now(&service).await, 1).await[0];
    assert_eq!(service.routed(at_once).await, ada.id);
    wait_until("the end of the wait", || async { service.place(here, at_once).await == (0, 0) }).await;
    // One that waits is published after it.
    let waits = queued(&service, here, &policy.id, now(&service).await, 1).await[0];
    until_published(&service, waits, 1, true, &[]).await;
    assert_eq!(published(&service, at_once).await, []);
}

async fn a6_a_conversation_that_waits_again_is_published_under_its_new_epoch(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversation = queued(&service, here, &policy.id, 5, 1).await[0];
    until_published(&service, conversation, 1, true, &[]).await;
    let handed_off = ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 3,
        bot_id: new_id().to_string(),
        change_time: Some(frontdesk_clock::Time(9).to_proto()),
        ..ConversationHandedOff::default()
    };
    handle(&service, &[at(here, conversation, 4, &handed_off)]).await;
    until_published(&service, conversation, 3, true, &[]).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    assert_eq!(published(&service, conversation).await.len(), 2);
}

async fn a6_b8_c9_a_team_that_a_bot_named_has_a_queue_of_its_own_until_it_is_deleted(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let sales = service.team(here, "Sales").await.id;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let first = queued(&service, here, &policy.id, 5, 1).await[0];
    let second = service.conversation();
    let handed_off = ConversationHandedOff {
        conversation_id: second.to_string(),
        epoch: 2,
        bot_id: new_id().to_string(),
        routing_policy_id: policy.id.clone(),
        team_id: sales.clone(),
        change_time: Some(frontdesk_clock::Time(9).to_proto()),
        ..ConversationHandedOff::default()
    };
    handle(&service, &[at(here, second, 2, &handed_off)]).await;
    assert_eq!((service.place(here, first).await, service.place(here, second).await), ((1, 1), (1, 1)));
    until_published(&service, first, 1, true, &[]).await;
    until_published(&service, second, 2, true, &[&sales]).await;
    service.teams(here).delete_team(DeleteTeamRequest { team_id: sales }).await.unwrap();
    until_published(&service, second, 2, true, &[]).await;
    assert_eq!((service.place(here, first).await, service.place(here, second).await), ((1, 2), (2, 2)));
}

async fn s2_the_place_of_another_accounts_conversation_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversation = queued(&service, here, &policy.id, 5, 1).await[0];
    for id in [conversation, new_id()] {
        let request = WatchQueuePlaceRequest { conversation_id: id.to_string() };
        let refused = service.routing(there).watch_queue_place(request).await.map(drop).unwrap_err();
        assert_eq!(rejection(&refused), (Code::NotFound, "NOT_FOUND".into()));
    }
}
