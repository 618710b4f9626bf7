//! What every bus promises.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_bus::{Consumer, Outcome, delete_dead_letter, find_dead_letter, list_dead_letters};
use frontdesk_proto::event::v1::Event;

use crate::rig::{Recorder, Rig, SOURCE, event, publish, ready};

on_both_footings!(
    every_consumer_of_a_type_gets_each_event_and_others_do_not,
    what_is_published_twice_while_it_waits_comes_once,
    later_comes_again_and_poison_goes_to_the_dead_letters_while_the_rest_moves_on,
    a_dead_letter_that_is_replayed_comes_to_its_consumer_alone,
    a_stuck_consumer_holds_nobody_else,
    what_was_not_handled_comes_after_a_restart,
    a_handler_that_panics_gets_its_event_again,
    an_event_arrives_as_it_was_published,
);

async fn every_consumer_of_a_type_gets_each_event_and_others_do_not(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    let (one, two) = (Recorder::new("one", |_, _| Outcome::Ack), Recorder::new("two", |_, _| Outcome::Ack));
    bus.subscribe(one.clone(), &db);
    bus.subscribe(two.clone(), &db);
    let _running = ready(&bus).await;
    let events: Vec<Event> = (0..1_200).map(|_| event("test.Thing")).chain([event("test.Other")]).collect();
    publish(&bus, &events).await;
    one.until("all at one", |seen| seen.len() == 1_200).await;
    two.until("all at two", |seen| seen.len() == 1_200).await;
    assert!(one.seen.lock().unwrap().values().all(|times| *times == 1));
}

async fn what_is_published_twice_while_it_waits_comes_once(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    let one = Recorder::new("one", |_, _| Outcome::Ack);
    bus.subscribe(one.clone(), &db);
    let events = [event("test.Thing"), event("test.Thing")];
    let (shutdown, running) = ready(&bus).await;
    publish(&bus, &events).await;
    publish(&bus, &events).await;
    one.until("both", |seen| seen.len() == 2).await;
    shutdown.cancel();
    running.await.unwrap();
    if rig.is_distributed() {
        assert!(one.seen.lock().unwrap().values().all(|times| *times == 1));
    }
}

async fn later_comes_again_and_poison_goes_to_the_dead_letters_while_the_rest_moves_on(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    let (later, poison) = (event("test.Thing"), event("test.Thing"));
    let (later_id, poison_id) = (later.id.clone(), poison.id.clone());
    let one = Recorder::new("one", move |id, times| match id {
        id if id == poison_id => Outcome::DeadLetter("it is poison".into()),
        id if id == later_id && times < 3 => Outcome::Retry("not yet".into()),
        _ => Outcome::Ack,
    });
    bus.subscribe(one.clone(), &db);
    let _running = ready(&bus).await;
    let rest: Vec<Event> = (0..50).map(|_| event("test.Thing")).collect();
    publish(&bus, &[poison.clone(), later.clone()]).await;
    publish(&bus, &rest).await;
    one.until("the rest and the third try", |seen| seen.len() == 52 && seen[&later.id] == 3).await;
    let letters = list_dead_letters(&db).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event.id.as_str(), letters[0].reason.as_str()), (poison.id.as_str(), "it is poison"));
    assert_eq!(one.seen.lock().unwrap()[&poison.id], 1);
}

async fn a_dead_letter_that_is_replayed_comes_to_its_consumer_alone(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    let mended = |_: &str, times| if times == 1 { Outcome::DeadLetter("a bug".into()) } else { Outcome::Ack };
    let (one, two) = (Recorder::new("one", mended), Recorder::new("two", |_, _| Outcome::Ack));
    bus.subscribe(one.clone(), &db);
    bus.subscribe(two.clone(), &db);
    let _running = ready(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    crate::rig::until("the dead letter", || async { !list_dead_letters(&db).await.unwrap().is_empty() }).await;
    let id = thing.id.parse().unwrap();
    let letter = find_dead_letter(&db, "one", id).await.unwrap().unwrap();
    bus.replay(&letter.consumer, &letter.event).await.unwrap();
    delete_dead_letter(&db, "one", id).await.unwrap();
    one.until("the second try", |seen| seen[&thing.id] == 2).await;
    assert_eq!(two.seen.lock().unwrap()[&thing.id], 1);
    assert!(list_dead_letters(&db).await.unwrap().is_empty());
}

async fn a_stuck_consumer_holds_nobody_else(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    struct Stuck(Arc<AtomicUsize>);
    #[async_trait::async_trait]
    impl Consumer for Stuck {
        fn name(&self) -> &'static str {
            "stuck"
        }
        fn source(&self) -> &'static str {
            SOURCE
        }
        fn types(&self) -> Vec<String> {
            vec!["test.Thing".into()]
        }
        async fn handle(&self, _: &Event) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    }
    let stuck = Arc::new(AtomicUsize::new(0));
    let one = Recorder::new("one", |_, _| Outcome::Ack);
    bus.subscribe(Stuck(stuck.clone()), &db);
    bus.subscribe(one.clone(), &db);
    let _running = ready(&bus).await;
    publish(&bus, &(0..200).map(|_| event("test.Thing")).collect::<Vec<_>>()).await;
    one.until("all", |seen| seen.len() == 200).await;
    // Longer than the broker waits before it gives an event to somebody else: those in hand stay in hand.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(stuck.load(Ordering::SeqCst), 16, "so many at once, and no more while they last");
}

async fn what_was_not_handled_comes_after_a_restart(rig: Rig) {
    let db = rig.db().await;
    let events: Vec<Event> = (0..20).map(|_| event("test.Thing")).collect();
    {
        // Published, and never run: as if the process had been killed.
        let bus = rig.bus().await;
        bus.subscribe(Recorder::new("one", |_, _| Outcome::Ack), &db);
        let (shutdown, running) = ready(&bus).await;
        shutdown.cancel();
        running.await.unwrap();
        publish(&bus, &events).await;
    }
    let bus = rig.bus().await;
    let one = Recorder::new("one", |_, _| Outcome::Ack);
    bus.subscribe(one.clone(), &db);
    let _running = ready(&bus).await;
    one.until("all", |seen| seen.len() == 20).await;
}

async fn a_handler_that_panics_gets_its_event_again(rig: Rig) {
    let (bus, db) = (rig.bus().await, rig.db().await);
    let one = Recorder::new("one", |_, times| if times == 1 { panic!("a bug in the handler") } else { Outcome::Ack });
    bus.subscribe(one.clone(), &db);
    let _running = ready(&bus).await;
    let thing = event("test.Thing");
    publish(&bus, std::slice::from_ref(&thing)).await;
    one.until("the second try", |seen| seen.get(&thing.id) == Some(&2)).await;
}

async fn an_event_arrives_as_it_was_published(rig: Rig) {
    struct Keeper(tokio::sync::mpsc::UnboundedSender<Event>);
    #[async_trait::async_trait]
    impl Consumer for Keeper {
        fn name(&self) -> &'static str {
            "keeper"
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
    let (bus, db) = (rig.bus().await, rig.db().await);
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    bus.subscribe(Keeper(sender), &db);
    let _running = ready(&bus).await;
    let thing = Event {
        account_id: frontdesk_clock::testing::new_id().to_string(),
        aggregate_type: "thing".into(),
        version: 3,
        create_time: Some(rig.clock.now().to_proto()),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        data: Some(prost_types::Any { type_url: "type.googleapis.com/test.Thing".into(), value: vec![7; 300] }),
        ..event("test.Thing")
    };
    publish(&bus, std::slice::from_ref(&thing)).await;
    let arrived = tokio::time::timeout(Duration::from_secs(20), received.recv()).await.unwrap().unwrap();
    assert_eq!(arrived, thing);
}
