//! Events of one account that wait at the same time are recorded together. Rules A2, A5, A6, A7, A8.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{Agent, AssignmentCause, DeactivateAgentRequest, RoutingStrategy},
    event::v1::{AssigneeChanged, ConversationClosed, Event},
};
use frontdesk_testkit::{Mode, new_id, wait_until};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody, take_over},
    load::{asks_for_a_decision, load, owned, reopened},
    routing::{at, handle, queued, started},
    routing_batches::literal,
    routing_steps::{execute, number, plant},
};

frontdesk_testkit::on_both_modes! {
    a6_a7_many_events_of_an_account_at_once_have_the_effect_that_each_has_alone,
    a7_events_that_wait_for_the_lock_of_their_account_are_recorded_in_few_transactions,
    a7_an_event_that_cannot_be_recorded_holds_up_no_other_one,
    a6_an_assignment_that_is_recorded_asks_for_no_decision_and_neither_does_one_by_routing,
    a2_a_recorded_assignment_to_a_deactivated_agent_goes_back,
    a8_the_history_of_many_events_at_once_has_each_assignment_once,
}

/// Publishes the events at once.
async fn publish(service: &Fixture, events: &[Event]) {
    assert!(service.bus.publish(events).await.iter().all(Result::is_ok));
}

/// The same events under other ids.
fn again(events: &[Event]) -> Vec<Event> {
    events.iter().map(|event| Event { id: new_id().to_string(), ..event.clone() }).collect()
}

/// The close in an epoch, which ends its period.
fn closed_in(here: AccountId, conversation: Uuid, version: i32, epoch: i32) -> Event {
    let closed = ConversationClosed {
        conversation_id: conversation.to_string(),
        epoch,
        close_time: Some(Time(50).to_proto()),
        ..ConversationClosed::default()
    };
    at(here, conversation, version, &closed)
}

/// The event of a change of owner by routing, or to nobody because the agent was deactivated.
fn changed(here: AccountId, conversation: Uuid, epoch: i32, to: Option<&Agent>) -> Event {
    let actor = |agent: &Agent| Actor { kind: ActorKind::Agent.into(), id: agent.id.clone(), ..Actor::default() };
    let cause = if to.is_some() { AssignmentCause::Routed } else { AssignmentCause::AgentDeactivated };
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

async fn a6_a7_many_events_of_an_account_at_once_have_the_effect_that_each_has_alone(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    // Away: nothing is routed.
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let (mut events, mut waiting, mut given_back) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..12 {
        let [kept, over, back, waits, elsewhere] = [(); 5].map(|()| service.conversation());
        let begin = |conversation| started(here, conversation, &policy.id, 5 + number);
        events.extend([begin(kept), owned(here, kept, 2, 2, &ada), owned(here, kept, 3, 3, &bob)]);
        events.extend([begin(over), owned(here, over, 2, 2, &ada), closed_in(here, over, 3, 2)]);
        events.extend([reopened(here, over, 4, 3, &ada), closed_in(here, over, 5, 3)]);
        events.extend([begin(back), changed(here, back, 2, Some(&bob)), changed(here, back, 3, None)]);
        events.push(begin(waits));
        events.push(owned(there, elsewhere, 2, 2, &ada));
        waiting.push(waits);
        given_back.push(back);
    }
    let backwards: Vec<Event> = again(&events).into_iter().rev().collect();
    for events in [&events, &backwards, &again(&events)] {
        publish(&service, events).await;
        service.settled().await;
        assert_eq!((load(&service, here, &ada).await, load(&service, here, &bob).await), (0, 12));
        assert_eq!(
            service.place(here, waiting[0]).await,
            (1, 24),
            "those that never had an agent, and those that went back"
        );
        assert!(service.place(here, given_back[11]).await.0 > 12, "it waits since it went back");
    }
    let queued = "SELECT count(*) AS number FROM routing_queue WHERE state = 1";
    assert_eq!(number(&service, queued).await, 24);
    let closed = "SELECT count(*) AS number FROM conversation_owners WHERE NOT open AND status_version = 5";
    assert_eq!(number(&service, closed).await, 12);
    assert_eq!(number(&service, "SELECT count(*) AS number FROM assignment_closes").await, 24, "each epoch ended once");
}

async fn a7_events_that_wait_for_the_lock_of_their_account_are_recorded_in_few_transactions(mode: Mode) {
    const EVENTS: i64 = 120;
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    handle(&service, &[owned(here, new_id(), 2, 2, &ada)]).await;
    // The account's lock, and on SQLite the only writer.
    let tx = service.db.begin().await.unwrap();
    tx.conn().execute_unprepared("UPDATE routing_accounts SET look_at = look_at").await.unwrap();
    let events: Vec<Event> = (1..EVENTS).map(|_| owned(here, new_id(), 2, 2, &ada)).collect();
    publish(&service, &events).await;
    tx.commit().await.unwrap();
    service.settled().await;
    assert_eq!(i64::from(load(&service, here, &ada).await), EVENTS);
    // The transaction that wrote a row, which SQLite does not say.
    if mode == Mode::Distributed {
        let transactions = "SELECT count(DISTINCT xmin::text) AS number FROM conversation_owners";
        let transactions = number(&service, transactions).await;
        assert!(transactions < EVENTS / 2, "{transactions} transactions for {EVENTS} events");
    }
}

async fn a7_an_event_that_cannot_be_recorded_holds_up_no_other_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let planted = plant(&service, "INSERT", "conversation_owners", "WHEN (NEW.epoch = 77)").await;
    let mut events: Vec<Event> = (0..40).map(|_| owned(here, new_id(), 2, 2, &ada)).collect();
    events.insert(20, owned(here, new_id(), 77, 77, &ada));
    publish(&service, &events).await;
    wait_until("the other events", || async { load(&service, here, &ada).await == 40 }).await;
    execute(&service, &planted).await;
    service.settled().await;
    assert_eq!(load(&service, here, &ada).await, 41);
}

async fn a6_an_assignment_that_is_recorded_asks_for_no_decision_and_neither_does_one_by_routing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    queued(&service, here, &policy.id, 5).await;
    let recorded = service.conversation();
    service.calls_of(here, &ada).take_over_conversation(take_over(recorded, 1, "1")).await.unwrap();
    assert!(!asks_for_a_decision(&service, owned(here, recorded, 2, 2, &ada)).await);
    assert!(!asks_for_a_decision(&service, changed(here, new_id(), 2, Some(&ada))).await);
    assert_eq!(load(&service, here, &ada).await, 2);
    assert!(asks_for_a_decision(&service, owned(here, recorded, 3, 3, &ada)).await, "it may free a place");
    assert!(asks_for_a_decision(&service, closed_in(here, recorded, 4, 3)).await, "it frees a place");
    assert_eq!(load(&service, here, &ada).await, 1);
}

async fn a2_a_recorded_assignment_to_a_deactivated_agent_goes_back(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation_of(&ada);
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    service.roster(here).deactivate_agent(deactivate).await.unwrap();
    let looked_at = "SELECT count(*) AS number FROM agent_returns";
    wait_until("nothing to be left", || async { number(&service, looked_at).await == 0 }).await;
    // As a confirmation records it that comes after the deactivation.
    let [account_id, id, agent] = [here.0, conversation, ada.id.parse().unwrap()].map(|id: Uuid| literal(mode, id));
    let columns = "account_id, conversation_id, agent_id, epoch, open, status_version";
    let row = format!("{account_id}, {id}, {agent}, 1, TRUE, 0");
    execute(&service, &format!("INSERT INTO conversation_owners ({columns}) VALUES ({row})")).await;
    handle(&service, &[owned(here, conversation, 1, 1, &ada)]).await;
    wait_until("the conversation to go back", || async { service.owner(conversation) == (2, String::new()) }).await;
}

async fn a8_the_history_of_many_events_at_once_has_each_assignment_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversations = [(); 50].map(|()| new_id());
    let mut events = Vec::new();
    for conversation in conversations {
        events.extend([owned(here, conversation, 2, 2, &ada), started(here, conversation, "", 5)]);
    }
    // Each event leaves a mark, by which it is known when it is delivered again.
    let marks = "SELECT count(*) AS number FROM handled_events WHERE consumer = 'assignment.history'";
    for (marked, events) in [(100, &events), (200, &again(&events))] {
        publish(&service, events).await;
        service.settled().await;
        let history = service.history(here, conversations[49]).await;
        assert_eq!(history.iter().map(|period| period.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(number(&service, "SELECT count(*) AS number FROM assignments").await, 100);
        assert_eq!(number(&service, marks).await, marked);
    }
}
