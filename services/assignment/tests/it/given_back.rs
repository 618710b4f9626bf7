//! Conversations of agents who were deactivated or vanished: rules A2, A6, A7, A8.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{
        Agent, AssignmentCause, Availability, DeactivateAgentRequest, HeartbeatRequest, ReactivateAgentRequest,
        RoutingRules, RoutingStrategy,
    },
    event::v1::{AssigneeChanged, Event},
};
use frontdesk_testkit::{Mode, wait_until};
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{at, closed, handle, queued},
};

frontdesk_testkit::on_both_modes! {
    a2_a6_conversations_of_a_deactivated_agent_go_back_and_those_that_are_routed_wait,
    a2_all_conversations_of_a_deactivated_agent_go_back_also_after_the_conversation_service_was_away,
    a2_an_assignment_that_becomes_known_after_the_deactivation_goes_back_too,
    a6_the_event_that_says_how_a_conversation_is_routed_may_come_after_the_one_of_its_return,
    a7_conversations_of_an_agent_who_vanished_go_back_while_their_visitors_wait_and_their_policy_says_so,
    a7_an_agent_who_is_back_in_time_keeps_their_conversations,
    a7_an_agent_who_chose_to_be_away_keeps_their_conversations,
}

/// The event of a change of owner at an epoch, which is the version too. None: unassigned.
fn changed(here: AccountId, conversation: Uuid, epoch: i32, to: Option<&Agent>, cause: AssignmentCause) -> Event {
    let actor = |agent: &Agent| Actor { kind: ActorKind::Agent.into(), id: agent.id.clone(), ..Actor::default() };
    let changed = AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch,
        new_owner: to.map(actor),
        by: Some(Actor { kind: ActorKind::System.into(), ..Actor::default() }),
        change_time: Some(Time(i64::from(epoch) * 10).to_proto()),
        cause: cause.into(),
        ..AssigneeChanged::default()
    };
    at(here, conversation, epoch, &changed)
}

async fn deactivate(service: &Fixture, here: AccountId, agent: &Agent) {
    let request = DeactivateAgentRequest { agent_id: agent.id.clone() };
    service.roster(here).deactivate_agent(request).await.unwrap();
}

async fn until_unassigned(service: &Fixture, conversation: Uuid, epoch: i32) {
    wait_until("the conversation to go back", || async { service.owner(conversation) == (epoch, String::new()) }).await;
}

/// Number of agents whose conversations are looked at.
async fn looked_at(service: &Fixture) -> i64 {
    let connection = service.db.read();
    let count = "SELECT count(*) AS agents FROM agent_returns";
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), count)).await.unwrap();
    row.unwrap().try_get("", "agents").unwrap()
}

/// Conversations go back a minute after their agent vanished.
fn takes_back() -> RoutingRules {
    let take_back_after = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    RoutingRules { take_back_after, ..anybody(RoutingStrategy::FewestOpen) }
}

fn begin_to_wait(service: &Fixture, conversation: Uuid) {
    let since = Some(Time(5).to_proto());
    service.conversations.with(conversation, |row| row.conversation.waiting_since_time = since);
}

/// The agent's heartbeats have stopped, and that is published.
async fn vanish(service: &Fixture) {
    let before = looked_at(service).await;
    service.clock.advance(Duration::from_secs(91)).unwrap();
    wait_until("the end of the heartbeats", || async { looked_at(service).await > before }).await;
}

async fn a2_a6_conversations_of_a_deactivated_agent_go_back_and_those_that_are_routed_wait(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.available(here, "ada", 5).await;
    let routed = queued(&service, here, &policy.id, 5).await;
    assert_eq!(service.routed(routed).await, ada.id);
    let plain = service.conversation_of(&ada);
    let by_hand = AssignmentCause::ByHand;
    handle(
        &service,
        &[changed(here, routed, 2, Some(&ada), AssignmentCause::Routed), changed(here, plain, 1, Some(&ada), by_hand)],
    )
    .await;
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 2 }).await;

    deactivate(&service, here, &ada).await;
    until_unassigned(&service, routed, 3).await;
    until_unassigned(&service, plain, 2).await;
    let deactivated = AssignmentCause::AgentDeactivated;
    let returns = [changed(here, routed, 3, None, deactivated), changed(here, plain, 2, None, deactivated)];
    handle(&service, &returns).await;
    assert_eq!((service.place(here, routed).await, service.place(here, plain).await), ((1, 1), (0, 0)));
    let history = service.history(here, routed).await;
    assert_eq!(history.last().map(|last| (last.cause(), last.owner.is_some())), Some((deactivated, false)), "A8");

    let bob = service.available(here, "bob", 5).await;
    assert_eq!(service.routed(routed).await, bob.id);
    handle(&service, &returns).await;
    assert_eq!(service.owner(plain), (2, String::new()), "a repeat of the events changes nothing");
    assert_eq!(service.owner(routed), (4, bob.id));
}

async fn a2_all_conversations_of_a_deactivated_agent_go_back_also_after_the_conversation_service_was_away(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    // More than two pages.
    let conversations: Vec<Uuid> = (0..110).map(|_| service.conversation_of(&ada)).collect();
    let owned: Vec<Event> =
        conversations.iter().map(|id| changed(here, *id, 1, Some(&ada), AssignmentCause::ByHand)).collect();
    handle(&service, &owned).await;
    service.fail_changes_of_owner();
    deactivate(&service, here, &ada).await;
    wait_until("the agent to be looked at", || async { looked_at(&service).await == 1 }).await;
    service.conversations.serve_by(&service.fake);
    for conversation in &conversations {
        until_unassigned(&service, *conversation, 2).await;
    }
    let ends: Vec<Event> =
        conversations.iter().map(|id| changed(here, *id, 2, None, AssignmentCause::AgentDeactivated)).collect();
    handle(&service, &ends).await;
    service.clock.advance(Duration::from_secs(61)).unwrap();
    wait_until("nothing to be left", || async { looked_at(&service).await == 0 }).await;
}

async fn a2_an_assignment_that_becomes_known_after_the_deactivation_goes_back_too(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation_of(&ada);
    deactivate(&service, here, &ada).await;
    wait_until("nothing to be left", || async { looked_at(&service).await == 0 }).await;
    assert_eq!(service.owner(conversation).0, 1, "not known yet");
    handle(&service, &[changed(here, conversation, 1, Some(&ada), AssignmentCause::ByHand)]).await;
    until_unassigned(&service, conversation, 2).await;

    // One that was closed meanwhile is not asked for, and an agent who is active again keeps theirs.
    let (over, kept) = (service.conversation_of(&ada), service.conversation_of(&ada));
    handle(&service, &[closed(here, over, 5), changed(here, over, 1, Some(&ada), AssignmentCause::ByHand)]).await;
    let reactivate = ReactivateAgentRequest { agent_id: ada.id.clone() };
    service.roster(here).reactivate_agent(reactivate).await.unwrap();
    handle(&service, &[changed(here, kept, 1, Some(&ada), AssignmentCause::ByHand)]).await;
    service.clock.advance(Duration::from_secs(61)).unwrap();
    wait_until("nothing to be left", || async { looked_at(&service).await == 0 }).await;
    assert_eq!((service.owner(over).0, service.owner(kept).0), (1, 1));
}

async fn a6_the_event_that_says_how_a_conversation_is_routed_may_come_after_the_one_of_its_return(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversation = service.conversation();
    service.conversations.with(conversation, |row| row.conversation.epoch = 3);
    handle(&service, &[changed(here, conversation, 3, None, AssignmentCause::AgentDeactivated)]).await;
    assert_eq!(service.place(here, conversation).await, (0, 0));
    handle(&service, &[crate::routing::started(here, conversation, &policy.id, 5)]).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
    let ada = service.available(here, "ada", 5).await;
    assert_eq!(service.routed(conversation).await, ada.id);
    assert_eq!(service.owner(conversation).0, 4);
}

async fn a7_conversations_of_an_agent_who_vanished_go_back_while_their_visitors_wait_and_their_policy_says_so(
    mode: Mode,
) {
    let service = Fixture::start(mode).await;
    let here = account();
    let takes = service.policy(here, "Takes back", takes_back()).await;
    let keeps = service.policy(here, "Keeps", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.available(here, "ada", 5).await;
    let mut conversations = Vec::new();
    for policy in [&takes.id, &takes.id, &keeps.id] {
        let conversation = queued(&service, here, policy, 5).await;
        assert_eq!(service.routed(conversation).await, ada.id);
        conversations.push(conversation);
    }
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 3 }).await;
    let [waits, answered, kept] = conversations[..] else { panic!("three conversations") };
    begin_to_wait(&service, waits);
    begin_to_wait(&service, kept);
    vanish(&service).await;
    assert_eq!(service.owner(waits).0, 2, "not before its time");
    service.clock.advance(Duration::from_secs(61)).unwrap();
    until_unassigned(&service, waits, 3).await;
    let gone = changed(here, waits, 3, None, AssignmentCause::AgentUnreachable);
    handle(&service, &[gone]).await;
    assert_eq!(service.place(here, waits).await, (1, 1));
    assert_eq!((service.owner(answered).0, service.owner(kept).0), (2, 2));
    // Its visitor writes later.
    begin_to_wait(&service, answered);
    service.clock.advance(Duration::from_secs(61)).unwrap();
    until_unassigned(&service, answered, 3).await;
    assert_eq!(service.owner(kept), (2, ada.id), "its policy keeps it");
}

async fn a7_an_agent_who_is_back_in_time_keeps_their_conversations(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "Takes back", takes_back()).await;
    let ada = service.available(here, "ada", 5).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    assert_eq!(service.routed(conversation).await, ada.id);
    wait_until("the load", || async { service.status(here, &ada).await.open_conversations == 1 }).await;
    begin_to_wait(&service, conversation);
    vanish(&service).await;
    service.own_status(here, &ada.id).heartbeat(HeartbeatRequest {}).await.unwrap();
    service.clock.advance(Duration::from_secs(61)).unwrap();
    wait_until("nothing to be left", || async { looked_at(&service).await == 0 }).await;
    assert_eq!(service.owner(conversation), (2, ada.id));
}

async fn a7_an_agent_who_chose_to_be_away_keeps_their_conversations(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "Takes back", takes_back()).await;
    let (ada, bob) = (service.available(here, "ada", 1).await, service.available(here, "bob", 1).await);
    let mut conversations = Vec::new();
    for number in 0..2 {
        let conversation = queued(&service, here, &policy.id, 5 + number).await;
        let owner = service.routed(conversation).await;
        begin_to_wait(&service, conversation);
        conversations.push((conversation, owner));
    }
    for agent in [&ada, &bob] {
        wait_until("the load", || async { service.status(here, agent).await.open_conversations == 1 }).await;
    }
    service.set_availability(here, &ada, Availability::Away).await;
    vanish(&service).await;
    service.clock.advance(Duration::from_secs(61)).unwrap();
    for (conversation, owner) in conversations {
        if owner == bob.id {
            until_unassigned(&service, conversation, 3).await;
        } else {
            assert_eq!(service.owner(conversation), (2, ada.id.clone()));
        }
    }
    assert_eq!(looked_at(&service).await, 1, "only Bob");
}
