use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{Agent, ListAgentStatusesRequest},
    event::v1::{
        AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
    },
};
use frontdesk_testkit::{Mode, event, new_id};
use prost::Name;
use uuid::Uuid;

use crate::fixture::{Fixture, account, take_over};

frontdesk_testkit::on_both_modes! {
    a7_the_load_of_an_agent_is_the_number_of_open_conversations_that_they_own,
    a7_the_load_is_the_same_in_any_order_and_however_often_events_come,
    a7_a_conversation_that_was_just_taken_over_counts_at_once,
    a7_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on,
}

/// The event of a conversation at a version of it.
fn at(account: AccountId, conversation: Uuid, version: i32, message: &impl Name) -> Event {
    let aggregate_id = conversation.to_string();
    Event { aggregate_id, version, ..event("conversation", account, message) }
}

fn time() -> Option<prost_types::Timestamp> {
    Some(Time(5).to_proto())
}

fn actor(agent: &Agent) -> Option<Actor> {
    Some(Actor { kind: ActorKind::Agent.into(), id: agent.id.clone(), name: String::new() })
}

fn started(account: AccountId, conversation: Uuid) -> Event {
    let conversation_id = conversation.to_string();
    let started = ConversationStarted { conversation_id, epoch: 1, start_time: time(), ..Default::default() };
    at(account, conversation, 1, &started)
}

fn owned(account: AccountId, conversation: Uuid, version: i32, epoch: i32, agent: &Agent) -> Event {
    let changed = AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch,
        new_owner: actor(agent),
        by: actor(agent),
        change_time: time(),
        ..Default::default()
    };
    at(account, conversation, version, &changed)
}

fn closed(account: AccountId, conversation: Uuid, version: i32) -> Event {
    let closed = ConversationClosed { conversation_id: conversation.to_string(), ..Default::default() };
    at(account, conversation, version, &closed)
}

fn reopened(account: AccountId, conversation: Uuid, version: i32, epoch: i32, agent: &Agent) -> Event {
    let conversation_id = conversation.to_string();
    let reopened = ConversationReopened {
        conversation_id,
        epoch,
        by: actor(agent),
        reopen_time: time(),
        ..ConversationReopened::default()
    };
    at(account, conversation, version, &reopened)
}

async fn handle(service: &Fixture, events: &[Event]) {
    for event in events {
        service.deliver_again(event).await;
    }
    service.settled().await;
}

async fn load(service: &Fixture, account: AccountId, agent: &Agent) -> i32 {
    service.status(account, agent).await.open_conversations
}

async fn a7_the_load_of_an_agent_is_the_number_of_open_conversations_that_they_own(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let (one, two, elsewhere) = (new_id(), new_id(), new_id());
    handle(&service, &[started(here, one), owned(here, one, 2, 2, &ada)]).await;
    handle(&service, &[started(here, two), owned(here, two, 2, 2, &ada)]).await;
    handle(&service, &[owned(there, elsewhere, 2, 2, &ada)]).await;
    assert_eq!((load(&service, here, &ada).await, load(&service, here, &bob).await), (2, 0));
    handle(&service, &[owned(here, two, 3, 3, &bob)]).await;
    handle(&service, &[closed(here, one, 3)]).await;
    assert_eq!((load(&service, here, &ada).await, load(&service, here, &bob).await), (0, 1));
    handle(&service, &[reopened(here, one, 4, 3, &bob)]).await;
    let request = ListAgentStatusesRequest::default();
    let listed = service.statuses(here).list_agent_statuses(request).await.unwrap().into_inner().statuses;
    assert_eq!(listed.iter().map(|status| status.open_conversations).collect::<Vec<_>>(), [0, 2]);

    let conversation_id = two.to_string();
    let off = ConversationHandedOff { conversation_id, epoch: 4, change_time: time(), ..Default::default() };
    handle(&service, &[at(here, two, 4, &off)]).await;
    assert_eq!(load(&service, here, &bob).await, 1);
}

async fn a7_the_load_is_the_same_in_any_order_and_however_often_events_come(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [3, 4, 0, 2, 1]] {
        let (again, done) = (new_id(), new_id());
        let events = [
            started(here, again),
            owned(here, again, 2, 2, &ada),
            closed(here, again, 3),
            reopened(here, again, 4, 3, &bob),
            owned(here, again, 5, 4, &ada),
        ];
        let (before_ada, before_bob) = (load(&service, here, &ada).await, load(&service, here, &bob).await);
        handle(&service, &order.map(|number| events[number].clone())).await;
        handle(&service, &[closed(here, done, 3), owned(here, done, 2, 2, &bob), started(here, done)]).await;
        handle(&service, &events).await;
        let loads = (load(&service, here, &ada).await, load(&service, here, &bob).await);
        assert_eq!(loads, (before_ada + 1, before_bob), "{order:?}");
    }
}

async fn a7_a_conversation_that_was_just_taken_over_counts_at_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    assert_eq!(load(&service, here, &ada).await, 1);
    service.calls_of(here, &bob).take_over_conversation(take_over(conversation, 2, "2")).await.unwrap();
    assert_eq!((load(&service, here, &ada).await, load(&service, here, &bob).await), (0, 1));
}

async fn a7_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let nameless = ConversationClosed { conversation_id: "none".into(), ..Default::default() };
    handle(&service, &[at(here, new_id(), 2, &nameless), owned(here, new_id(), 2, 2, &ada)]).await;
    assert_eq!(load(&service, here, &ada).await, 1);
}
