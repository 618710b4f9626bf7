use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{Agent, ListAgentStatusesRequest, RoutingStrategy},
    event::v1::{
        AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
    },
};
use frontdesk_testkit::{Mode, event, new_id};
use prost::Name;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody, take_over},
    routing::queued,
};

frontdesk_testkit::on_both_modes! {
    a7_the_load_of_an_agent_is_the_number_of_open_conversations_that_they_own,
    a7_the_load_is_the_same_in_any_order_and_however_often_events_come,
    a7_a_conversation_that_was_just_taken_over_counts_at_once,
    a7_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on,
    a6_the_close_of_a_bots_chat_asks_for_no_decision_and_that_of_an_agents_chat_does,
    a6_a7_each_of_many_closes_at_once_counts_once_whatever_it_is,
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

pub fn owned(account: AccountId, conversation: Uuid, version: i32, epoch: i32, agent: &Agent) -> Event {
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

pub fn reopened(account: AccountId, conversation: Uuid, version: i32, epoch: i32, agent: &Agent) -> Event {
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

pub async fn load(service: &Fixture, account: AccountId, agent: &Agent) -> i32 {
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

/// A time that no test reaches (microseconds), and routing neither.
const NEVER: i64 = 9_000_000_000_000_000;

async fn number(service: &Fixture, sql: &str) -> i64 {
    let connection = service.db.read();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
}

/// Handles the event. Returns whether that asked for a decision about the account.
pub async fn asks_for_a_decision(service: &Fixture, event: Event) -> bool {
    let tx = service.db.begin().await.unwrap();
    tx.conn().execute_unprepared(&format!("UPDATE routing_accounts SET look_at = {NEVER}")).await.unwrap();
    tx.commit().await.unwrap();
    handle(service, &[event]).await;
    number(service, "SELECT coalesce(max(look_at), 0) AS number FROM routing_accounts").await != NEVER
}

async fn a6_the_close_of_a_bots_chat_asks_for_no_decision_and_that_of_an_agents_chat_does(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let waits = queued(&service, here, &policy.id, 5).await;
    let (of_bot, of_agent) = (new_id(), new_id());
    let begins = ConversationStarted {
        conversation_id: of_bot.to_string(),
        epoch: 1,
        start_time: time(),
        bot_id: new_id().to_string(),
        ..ConversationStarted::default()
    };
    handle(&service, &[at(here, of_bot, 1, &begins), owned(here, of_agent, 2, 2, &ada)]).await;
    assert!(asks_for_a_decision(&service, closed(here, waits, 2)).await, "it leaves the queue");
    assert!(!asks_for_a_decision(&service, closed(here, of_bot, 2)).await);
    assert_eq!(number(&service, "SELECT count(*) AS number FROM conversation_owners WHERE open").await, 1);
    assert!(asks_for_a_decision(&service, closed(here, of_agent, 3)).await, "it frees a place");
    assert_eq!((load(&service, here, &ada).await, service.place(here, waits).await), (0, (0, 0)));
}

async fn a6_a7_each_of_many_closes_at_once_counts_once_whatever_it_is(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let ada = service.agent(here, "ada").await;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let waits = queued(&service, here, &policy.id, 5).await;
    let (owned_chats, bots_chats) = ([new_id(), new_id(), new_id()], [(); 40].map(|()| new_id()));
    for conversation in owned_chats {
        handle(&service, &[owned(here, conversation, 2, 2, &ada)]).await;
    }
    let reopened_since = bots_chats[0];
    handle(&service, &[reopened(here, reopened_since, 9, 3, &ada)]).await;
    assert_eq!(load(&service, here, &ada).await, 4);
    let chats = bots_chats.iter().chain(&owned_chats[1..]).chain([&waits]);
    let mut closes: Vec<Event> = chats.map(|conversation| closed(here, *conversation, 4)).collect();
    closes.extend((0..20).map(|_| closed(there, new_id(), 2)));
    let again = closes.iter().map(|event| Event { id: new_id().to_string(), ..event.clone() }).collect();
    let older = bots_chats[5..9].iter().map(|conversation| closed(here, *conversation, 3)).collect();
    for events in [older, closes, again] {
        assert!(service.bus.publish(&events).await.iter().all(Result::is_ok));
    }
    service.settled().await;
    assert_eq!(load(&service, here, &ada).await, 2, "the first of theirs, and the one that was reopened since");
    assert_eq!(service.place(here, waits).await, (0, 0));
    assert_eq!(number(&service, "SELECT count(*) AS number FROM conversation_owners WHERE open").await, 2);
    let newest = "SELECT count(*) AS number FROM conversation_owners WHERE status_version = 4";
    assert_eq!(number(&service, newest).await, 42);
}
