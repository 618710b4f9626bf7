//! What every bus promises.

use std::time::{Duration, Instant};

use frontdesk_bus::{
    Consumer, DeadLetter, Outcome, count_dead_letters, delete_dead_letter, find_dead_letter, list_dead_letters,
    oldest_dead_letters,
};
use frontdesk_db::{AccountId, AccountState, lock_account, save_account};
use frontdesk_proto::event::v1::Event;
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_until};

use crate::backend::{Backend, Gate, Recorder, SOURCE, Stuck, event, execute, prepare, publish, run};

on_both_modes!(
    every_consumer_of_a_type_gets_each_event_of_it_once,
    an_event_published_twice_is_delivered_once,
    retried_events_come_again_and_a_dead_letter_does_not_stop_the_others,
    r13_a_thousand_retried_events_do_not_delay_others,
    a_replayed_dead_letter_is_delivered_to_its_consumer_only,
    i17_a_replayed_event_that_is_given_up_again_stays_a_dead_letter,
    i17_an_event_that_is_replayed_during_a_delivery_is_delivered_again,
    a_stuck_consumer_gets_a_limited_number_of_events_and_does_not_delay_others,
    unhandled_events_are_delivered_after_a_restart,
    a_handler_that_panics_gets_the_event_again,
    an_event_arrives_as_it_was_published,
    an_event_that_does_not_concern_a_consumer_does_not_reach_its_handler,
    x2_events_of_an_account_that_has_ended_reach_no_handler_alone_or_in_a_batch,
);

/// Maximum number of events of one consumer that are handled at once.
const CONCURRENCY: usize = 16;

async fn every_consumer_of_a_type_gets_each_event_of_it_once(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (one, two) = (Recorder::acknowledging("one"), Recorder::acknowledging("two"));
    bus.subscribe(one.clone(), &db);
    bus.subscribe(two.clone(), &db);
    let _running = run(&bus).await;
    let events: Vec<Event> = (0..1_200).map(|_| event("test.Thing")).chain([event("test.Other")]).collect();
    publish(&bus, &events).await;
    backend.settled(&db).await;
    for consumer in [one, two] {
        consumer.assert_once();
        assert_eq!(consumer.deliveries.lock().unwrap().len(), 1_200, "and no event of another type");
    }
}

async fn an_event_published_twice_is_delivered_once(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let one = Recorder::acknowledging("one");
    bus.subscribe(one.clone(), &db);
    prepare(&bus).await;
    // Twice before the consumer runs: afterwards an in-process bus no longer knows what it delivered.
    let events = [event("test.Thing"), event("test.Thing")];
    publish(&bus, &events).await;
    publish(&bus, &events).await;
    let running = run(&bus).await;
    one.until("both events", |deliveries| deliveries.len() == 2).await;
    backend.settled(&db).await;
    running.stop().await;
    one.assert_once();
}

async fn retried_events_come_again_and_a_dead_letter_does_not_stop_the_others(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (retried, dead) = (event("test.Thing"), event("test.Thing"));
    let (retried_id, dead_id) = (retried.id.clone(), dead.id.clone());
    let one = Recorder::new("one", move |id, times| match id {
        id if id == dead_id => Outcome::DeadLetter("the event is invalid".into()),
        id if id == retried_id && times < 3 => Outcome::Retry("not yet".into()),
        _ => Outcome::Ack,
    });
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    let others: Vec<Event> = (0..50).map(|_| event("test.Thing")).collect();
    publish(&bus, &[dead.clone(), retried.clone()]).await;
    publish(&bus, &others).await;
    one.until("the others and the third attempt", |seen| seen.len() == 52 && seen[&retried.id] == 3).await;
    backend.settled(&db).await;
    let letters = list_dead_letters(&db).await.unwrap();
    assert_eq!(count_dead_letters(&db).await.unwrap(), letters.len() as u64);
    let letters: Vec<_> = letters.iter().map(|letter| (letter.event_id.to_string(), letter.reason.as_str())).collect();
    assert_eq!(letters, [(dead.id.clone(), "the event is invalid")]);
    let deliveries = one.deliveries.lock().unwrap();
    assert_eq!((deliveries[&dead.id], deliveries[&retried.id]), (1, 3));
}

async fn a_replayed_dead_letter_is_delivered_to_its_consumer_only(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let fixed_later = |_: &str, times| if times == 1 { Outcome::DeadLetter("a bug".into()) } else { Outcome::Ack };
    let (one, two) = (Recorder::new("one", fixed_later), Recorder::acknowledging("two"));
    bus.subscribe(one.clone(), &db);
    bus.subscribe(two.clone(), &db);
    let _running = run(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    wait_until("the dead letter", || async { !list_dead_letters(&db).await.unwrap().is_empty() }).await;
    let id = thing.id.parse().unwrap();
    let letter = find_dead_letter(&db, "one", id).await.unwrap().unwrap();
    bus.replay(&letter.consumer, letter.event.as_ref().unwrap()).await.unwrap();
    delete_dead_letter(&db, &letter).await.unwrap();
    one.until("the second delivery", |deliveries| deliveries[&thing.id] == 2).await;
    backend.settled(&db).await;
    two.assert_once();
    assert!(list_dead_letters(&db).await.unwrap().is_empty());
}

async fn r13_a_thousand_retried_events_do_not_delay_others(mode: Mode) {
    const RETRIED: usize = 1_200;
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let good: Vec<Event> = (0..20).map(|_| event("test.Thing")).collect();
    let good_ids: Vec<String> = good.iter().map(|event| event.id.clone()).collect();
    let ids = good_ids.clone();
    let one = Recorder::new("one", move |id, _| match ids.iter().any(|good| good == id) {
        true => Outcome::Ack,
        false => Outcome::Retry("a bug".into()),
    });
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    publish(&bus, &(0..RETRIED).map(|_| event("test.Thing")).collect::<Vec<_>>()).await;
    // Their second attempt comes after 100 ms, the third after 200 ms.
    one.until("a third attempt of each", |seen| seen.values().filter(|times| **times >= 3).count() == RETRIED).await;
    let began = Instant::now();
    publish(&bus, &good).await;
    one.until("the others", |seen| good_ids.iter().all(|id| seen.contains_key(id))).await;
    assert!(began.elapsed() < Duration::from_secs(2), "they took {:?}", began.elapsed());
    assert!(list_dead_letters(&db).await.unwrap().is_empty());
}

async fn i17_a_replayed_event_that_is_given_up_again_stays_a_dead_letter(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let one = Recorder::new("one", |_, times| Outcome::DeadLetter(format!("attempt {times}")));
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    let things = [event("test.Thing"), event("test.Thing")];
    for (number, thing) in things.iter().enumerate() {
        publish(&bus, std::slice::from_ref(thing)).await;
        wait_until("the dead letter", || async { list_dead_letters(&db).await.unwrap().len() == number + 1 }).await;
    }
    let newest = list_dead_letters(&db).await.unwrap()[0].created_at;
    let oldest = oldest_dead_letters(&db, newest, 0).await.unwrap();
    let ids = |letters: &[DeadLetter]| letters.iter().map(|letter| letter.event_id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&oldest), things.each_ref().map(|thing| thing.id.clone()));
    assert_eq!(ids(&oldest_dead_letters(&db, newest, 1).await.unwrap()), [things[1].id.clone()]);
    // The consumer gives it up again before it is deleted.
    bus.replay("one", oldest[0].event.as_ref().unwrap()).await.unwrap();
    one.until("the second attempt", |seen| seen[&things[0].id] == 2).await;
    backend.settled(&db).await;
    delete_dead_letter(&db, &oldest[0]).await.unwrap();
    let left = list_dead_letters(&db).await.unwrap();
    let left: Vec<_> = left.iter().map(|letter| (letter.event_id.to_string(), letter.reason.as_str())).collect();
    assert_eq!(left, [(things[0].id.clone(), "attempt 2"), (things[1].id.clone(), "attempt 1")]);
    let again = oldest_dead_letters(&db, newest, 0).await.unwrap();
    assert_eq!(again.len(), 1, "what was given up again is newer");
}

async fn i17_an_event_that_is_replayed_during_a_delivery_is_delivered_again(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let gate = Gate::default();
    let one = Recorder::acknowledging("one").behind(&gate);
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    wait_until("the handler", || async { gate.begun() == 1 }).await;
    bus.replay("one", &thing).await.unwrap();
    gate.open();
    one.until("both deliveries", |seen| seen.get(&thing.id) == Some(&2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_the_bus_within_the_process_pauses_when_its_file_takes_no_progress() {
    let backend = Backend::new(Mode::Embedded).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let one = Recorder::acknowledging("one");
    bus.subscribe(one.clone(), &db);
    let file = backend.bus_file().await;
    let full = "CREATE TRIGGER full BEFORE DELETE ON pending BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    execute(&file, full).await;
    let _running = run(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let times = one.deliveries.lock().unwrap()[&thing.id];
    assert!((1..=3).contains(&times), "it was delivered {times} times in 2.5 s");
    execute(&file, "DROP TRIGGER full").await;
    backend.settled(&db).await;
}

async fn a_stuck_consumer_gets_a_limited_number_of_events_and_does_not_delay_others(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (stuck, one) = (Stuck::new("stuck"), Recorder::acknowledging("one"));
    bus.subscribe(stuck.clone(), &db);
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    publish(&bus, &(0..200).map(|_| event("test.Thing")).collect::<Vec<_>>()).await;
    one.until("all events", |deliveries| deliveries.len() == 200).await;
    wait_until("the stuck handlers", || async { stuck.started() >= CONCURRENCY }).await;
    assert_eq!(stuck.started(), CONCURRENCY, "no event is delivered while those in progress last");
}

async fn unhandled_events_are_delivered_after_a_restart(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.db().await;
    let events: Vec<Event> = (0..20).map(|_| event("test.Thing")).collect();
    {
        // Published and never delivered, as by a process that is killed.
        let bus = backend.bus().await;
        bus.subscribe(Recorder::acknowledging("one"), &db);
        prepare(&bus).await;
        publish(&bus, &events).await;
    }
    let bus = backend.bus().await;
    let one = Recorder::acknowledging("one");
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    one.until("all events", |deliveries| deliveries.len() == 20).await;
}

async fn a_handler_that_panics_gets_the_event_again(mode: Mode) {
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let one = Recorder::new("one", |_, times| if times == 1 { panic!("a bug in the handler") } else { Outcome::Ack });
    bus.subscribe(one.clone(), &db);
    let _running = run(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    one.until("the second delivery", |deliveries| deliveries.get(&thing.id) == Some(&2)).await;
}

async fn an_event_that_does_not_concern_a_consumer_does_not_reach_its_handler(mode: Mode) {
    /// Concerned by events of an account.
    struct OfAccounts(tokio::sync::mpsc::UnboundedSender<Event>);
    #[async_trait::async_trait]
    impl Consumer for OfAccounts {
        fn name(&self) -> &'static str {
            "of_accounts"
        }
        fn source(&self) -> &'static str {
            SOURCE
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        fn concerns(&self, event: &Event) -> bool {
            !event.account_id.is_empty()
        }
        async fn handle(&self, event: &Event) -> Outcome {
            self.0.send(event.clone()).unwrap();
            Outcome::Ack
        }
    }
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    bus.subscribe(OfAccounts(sender), &db);
    let other = Recorder::new("other", |_, _| Outcome::Ack);
    bus.subscribe(other.clone(), &db);
    let _running = run(&bus).await;
    let none = event("test.Thing");
    let one = Event { account_id: new_id().to_string(), ..event("test.Thing") };
    publish(&bus, &[none.clone(), one.clone()]).await;
    // The other consumer has both, so the first one was delivered to this one too, if at all.
    other.until("both events", |deliveries| deliveries.len() == 2).await;
    let arrived = tokio::time::timeout(Duration::from_secs(20), received.recv()).await.unwrap().unwrap();
    assert_eq!(arrived.id, one.id);
    assert!(received.try_recv().is_err());
}

async fn x2_events_of_an_account_that_has_ended_reach_no_handler_alone_or_in_a_batch(mode: Mode) {
    /// Handles events together.
    struct Together(tokio::sync::mpsc::UnboundedSender<Event>);
    #[async_trait::async_trait]
    impl Consumer for Together {
        fn name(&self) -> &'static str {
            "together"
        }
        fn source(&self) -> &'static str {
            SOURCE
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        async fn handle(&self, event: &Event) -> Outcome {
            self.0.send(event.clone()).unwrap();
            Outcome::Ack
        }
        fn max_batch(&self) -> usize {
            8
        }
        async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
            events.iter().map(|event| self.0.send(event.clone()).is_ok()).collect()
        }
    }
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (ended, in_use) = (AccountId(new_id()), AccountId(new_id()));
    let tx = db.begin_for(ended).await.unwrap();
    let mut record = lock_account(&tx, ended).await.unwrap();
    record.state = AccountState::Ended;
    save_account(&tx, &record).await.unwrap();
    tx.commit().await.unwrap();
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    bus.subscribe(Together(sender), &db);
    let alone = Recorder::acknowledging("alone");
    bus.subscribe(alone.clone(), &db);
    let _running = run(&bus).await;
    let of = |account: AccountId| Event { account_id: account.to_string(), ..event("test.Thing") };
    let handled = of(in_use);
    let events: Vec<Event> = (0..40).map(|_| of(ended)).chain([handled.clone()]).collect();
    publish(&bus, &events).await;
    // Those of the account that has ended are acknowledged too.
    backend.settled(&db).await;
    assert_eq!(alone.deliveries.lock().unwrap().keys().collect::<Vec<_>>(), [&handled.id]);
    let together: Vec<String> = std::iter::from_fn(|| received.try_recv().ok()).map(|event| event.id).collect();
    assert_eq!(together, [handled.id]);
}

async fn an_event_arrives_as_it_was_published(mode: Mode) {
    struct Forwarder(tokio::sync::mpsc::UnboundedSender<Event>);
    #[async_trait::async_trait]
    impl Consumer for Forwarder {
        fn name(&self) -> &'static str {
            "forwarder"
        }
        fn source(&self) -> &'static str {
            SOURCE
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        async fn handle(&self, event: &Event) -> Outcome {
            self.0.send(event.clone()).unwrap();
            Outcome::Ack
        }
    }
    let backend = Backend::new(mode).await;
    let (bus, db) = (backend.bus().await, backend.db().await);
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    bus.subscribe(Forwarder(sender), &db);
    let _running = run(&bus).await;
    let thing = Event {
        account_id: new_id().to_string(),
        aggregate_type: "thing".into(),
        version: 3,
        create_time: Some(backend.clock.now().to_proto()),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        data: Some(prost_types::Any { type_url: "type.googleapis.com/test.Thing".into(), value: vec![7; 300] }),
        ..event("test.Thing")
    };
    publish(&bus, std::slice::from_ref(&thing)).await;
    let arrived = tokio::time::timeout(Duration::from_secs(20), received.recv()).await.unwrap().unwrap();
    assert_eq!(arrived, thing);
}
