//! What the message writer promises, on SQLite and on PostgreSQL.

mod fixture;
mod remembered;

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_testkit::{Mode, on_both_modes};
use futures::future::join_all;
use sea_orm::ConnectionTrait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    domain::{ClosingFacts, Message, TeamMember},
    store::conversations,
    workers::MessageQueue,
};
use fixture::*;

on_both_modes!(
    c12_c11_each_member_of_a_batch_is_decided_by_itself,
    c3_members_of_one_conversation_get_consecutive_numbers_and_their_events_keep_that_order,
    a_member_that_cannot_be_written_fails_alone,
    a_batch_that_panics_is_written_one_by_one,
    waiting_messages_are_written_together_and_every_caller_is_answered,
);

async fn c12_c11_each_member_of_a_batch_is_decided_by_itself(mode: Mode) {
    let fixture = fixture(mode).await;
    let (open, closed, other) = (fixture.start("a").await, fixture.start("b").await, fixture.start("c").await);
    fixture.close(closed).await;
    let before = fixture.batch(vec![fixture.message(other, "before")]).await;
    assert_eq!(sequence(&before[0]), 2, "after the entry that made Ada the assignee");

    let visitor = |visitor: &str| AppendMessage::Visitor {
        visitor: visitor.into(),
        message: Message { text: "hello".into(), ..Message::default() },
        request_id: "hello".into(),
    };
    let results = fixture
        .batch(vec![
            fixture.message(open, "one"),
            fixture.message(Uuid::from_u128(99), "unknown"),
            WriteRequest { account: OTHER_ACCOUNT, ..fixture.message(open, "foreign") },
            fixture.message(closed, "closed"),
            fixture.message(other, "before"),
            WriteRequest { key: fixture.key(other, "before", "different"), ..fixture.message(other, "different") },
            WriteRequest { message: visitor("another"), ..fixture.message(open, "not theirs") },
            fixture.message_of(GONE, open, "gone"),
            fixture.message_of(Uuid::from_u128(98), open, "stranger"),
            // A request of the same batch counts as the first one.
            fixture.message(open, "one"),
            WriteRequest { key: fixture.key(open, "one", "other"), ..fixture.message(open, "other") },
            WriteRequest { message: visitor("a"), ..fixture.message(open, "hello") },
        ])
        .await;
    assert_eq!((sequence(&results[0]), sequence(&results[11])), (2, 3), "the others took no number");
    let Ok(WriteOutcome::Appended(entry, names)) = &results[0] else { panic!() };
    assert_eq!(names.author(entry), "Ada");
    assert!(matches!(results[1], Err(WriteError::NotFound)));
    assert!(matches!(results[2], Err(WriteError::NotFound)));
    assert!(matches!(results[3], Err(WriteError::Rejected(Rejection::Closed, _))));
    assert!(matches!(results[4], Ok(WriteOutcome::Duplicate { sequence: 2 })));
    assert!(matches!(results[5], Err(WriteError::RequestIdReused)));
    assert!(matches!(results[6], Err(WriteError::NotFound)));
    assert!(matches!(results[7], Err(WriteError::Rejected(Rejection::AgentInactive, _))));
    assert!(matches!(results[8], Err(WriteError::Rejected(Rejection::AgentUnknown, _))));
    assert!(matches!(results[9], Ok(WriteOutcome::Duplicate { sequence: 2 })));
    assert!(matches!(results[10], Err(WriteError::RequestIdReused)));
    assert_eq!(fixture.thread(open).await, ["one", "hello"]);
    assert_eq!(fixture.thread(closed).await, Vec::<String>::new());
    assert_eq!(fixture.thread(other).await, ["before"]);
    let conversation = fixture.conversation(open).await;
    assert_eq!(conversation.owner, Some(crate::domain::Owner::agent(ADA)));
    assert_eq!((conversation.epoch, conversation.last_sequence, conversation.had_agent), (2, 3, true));
}

async fn c3_members_of_one_conversation_get_consecutive_numbers_and_their_events_keep_that_order(mode: Mode) {
    let fixture = fixture(mode).await;
    let mut conversations = Vec::new();
    for visitor in ["a", "b", "c"] {
        conversations.push(fixture.start(visitor).await);
    }
    // In turns: a batch holds its members as they came, not by conversation.
    let requests = (0..12).map(|n| fixture.message(conversations[n % 3], &n.to_string())).collect();
    let results = fixture.batch(requests).await;
    let numbers: Vec<i64> = results.iter().map(sequence).collect();
    assert_eq!(numbers, [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5], "entry 1 made Ada the assignee");
    assert_eq!(fixture.thread(conversations[1]).await, ["1", "4", "7", "10"]);
    for id in conversations {
        let conversation = fixture.conversation(id).await;
        assert_eq!((conversation.last_sequence, conversation.last_visitor_sequence, conversation.version), (5, 5, 6));
        let events = fixture.events().await.into_iter();
        let versions: Vec<i64> = events.filter(|(of, _)| *of == id).map(|(_, version)| version).collect();
        assert_eq!(versions, [1, 2, 3, 4, 5, 6], "published in the order in which it happened");
    }
}

async fn a_member_that_cannot_be_written_fails_alone(mode: Mode) {
    let fixture = fixture(mode).await;
    let (good, bad) = (fixture.start("a").await, fixture.start("b").await);
    fixture.batch(vec![fixture.message(bad, "first")]).await;
    // The next number is taken: the primary key of the entries rejects it, and with it the whole batch.
    let take_number = "UPDATE conversations SET last_sequence = 1 WHERE visitor_id = 'b'";
    let tx = fixture.writer.db.begin().await.unwrap();
    tx.conn().execute_unprepared(take_number).await.unwrap();
    tx.commit().await.unwrap();
    let results = fixture.batch(vec![fixture.message(bad, "twice"), fixture.message(good, "one")]).await;
    assert!(matches!(results[0], Err(WriteError::Db(_))), "{results:?}");
    sequence(&results[1]);
    assert_eq!(fixture.thread(good).await, ["one"]);
    assert_eq!(fixture.thread(bad).await, ["first"]);
}

async fn a_batch_that_panics_is_written_one_by_one(mode: Mode) {
    let mut fixture = fixture(mode).await;
    let id = fixture.start("a").await;
    fixture.before_save(|| Box::pin(async { panic!("a bug") }));
    let results = fixture.batch(vec![fixture.message(id, "one"), fixture.message(id, "two")]).await;
    assert_eq!(results.iter().map(sequence).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(fixture.thread(id).await, ["one", "two"]);
}

async fn waiting_messages_are_written_together_and_every_caller_is_answered(mode: Mode) {
    let fixture = fixture(mode).await;
    let mut conversations = Vec::new();
    for visitor in 0..10 {
        conversations.push(fixture.start(&visitor.to_string()).await);
    }
    let BatchWriter { db, notifier, .. } = &fixture.writer;
    let queue = MessageQueue::new(db, notifier);
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(queue.clone().run_worker(shutdown.clone()));
    let writes = (0..300).map(|n: usize| {
        let id = conversations[n % 10];
        let key = fixture.key(id, &format!("id{n}"), "x");
        queue.write(WriteRequest { key, ..fixture.message(id, "x") })
    });
    let results = join_all(writes).await;
    let mut numbers: Vec<i64> = results.iter().step_by(10).map(sequence).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=31).collect::<Vec<_>>(), "dense");
    let mut times: Vec<Time> = results
        .iter()
        .map(|result| match result {
            Ok(WriteOutcome::Appended(entry, _)) => entry.created_at,
            other => panic!("{other:?}"),
        })
        .collect();
    times.sort_unstable();
    times.dedup();
    assert!(times.len() <= 20, "300 messages in {} transactions", times.len());

    // After the shutdown the worker ends, and a late call writes its message itself.
    shutdown.cancel();
    worker.await.unwrap();
    assert_eq!(sequence(&queue.write(fixture.message(conversations[0], "late")).await), 32);
}

// Only PostgreSQL has more than one writer, and a connection to lose.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_request_id_that_another_replica_uses_meanwhile_is_noticed_and_affects_no_other_member() {
    let mut fixture = fixture(Mode::Distributed).await;
    let (here, there) = (fixture.start("a").await, fixture.start("b").await);
    let taken = fixture.key(there, "id", "there");
    let db = fixture.writer.db.clone();
    fixture.before_save(move || {
        Box::pin(async move {
            let tx = db.begin().await.unwrap();
            assert_eq!(taken.claim::<i64>(&tx).await.unwrap(), None);
            taken.store_result(&tx, &1).await.unwrap();
            tx.commit().await.unwrap();
        })
    });
    let overtaken = WriteRequest { key: fixture.key(here, "id", "here"), ..fixture.message(here, "here") };
    let results = fixture.batch(vec![fixture.message(here, "one"), overtaken, fixture.message(here, "two")]).await;
    assert!(matches!(results[1], Err(WriteError::RequestIdReused)), "{results:?}");
    assert_eq!((sequence(&results[0]), sequence(&results[2])), (2, 3));
    assert_eq!(fixture.thread(here).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_repeat_that_waited_for_the_lock_gets_the_first_answer_though_the_conversation_was_closed_since() {
    let fixture = fixture(Mode::Distributed).await;
    let id = fixture.start("a").await;
    // Another replica has written the message, and closed, and has not committed yet.
    let mut tx = fixture.writer.db.begin().await.unwrap();
    let mut conversation = conversations::find_for_update(&tx, fixture.account, id).await.unwrap().unwrap();
    let key = fixture.key(id, "one", "one");
    assert_eq!(key.claim::<i64>(&tx).await.unwrap(), None);
    key.store_result(&tx, &7).await.unwrap();
    conversation.close_by_team(&TeamMember::Agent(ADA), None, ClosingFacts::default(), fixture.clock.now()).unwrap();
    conversations::save(&mut tx, &fixture.writer.notifier, &mut conversation).await.unwrap();

    let (repeat, answered) = QueuedWrite::new(fixture.message(id, "one"));
    let locked = fixture.writer.write(vec![repeat]).await;
    assert_eq!(locked.len(), 1, "it waits for the lock");
    tx.commit().await.unwrap();
    assert!(fixture.writer.write(locked).await.is_empty());
    let answer = answered.await.unwrap();
    assert!(matches!(answer, Ok(WriteOutcome::Duplicate { sequence: 7 })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_a_conversation_that_changed_since_it_was_loaded_is_decided_again_and_affects_no_other() {
    let mut fixture = fixture(Mode::Distributed).await;
    let (here, there) = (fixture.start("a").await, fixture.start("b").await);
    let db = &fixture.writer.db;
    let replica = BatchWriter::new(db, &ChangeNotifier::default(), store::conversation_batch(db));
    let (earlier, written) = QueuedWrite::new(fixture.message(here, "earlier"));
    fixture.before_save(move || {
        Box::pin(async move {
            assert!(replica.write(vec![earlier]).await.is_empty());
        })
    });
    let requests = [fixture.message(here, "one"), fixture.message(there, "other"), fixture.message(here, "two")];
    let (batch, answers): (Vec<_>, Vec<_>) = requests.into_iter().map(QueuedWrite::new).unzip();
    let changed = fixture.writer.write(batch).await;
    assert_eq!(changed.len(), 2, "the messages of the conversation that changed are given back");
    assert_eq!(fixture.thread(there).await, ["other"]);
    assert_eq!(fixture.thread(here).await, ["earlier"]);
    assert!(fixture.writer.write(changed).await.is_empty());
    let answers: Vec<_> = join_all(answers).await.into_iter().map(|answer| sequence(&answer.unwrap())).collect();
    assert_eq!((sequence(&written.await.unwrap()), answers), (2, vec![3, 2, 4]));
    assert_eq!(fixture.thread(here).await, ["earlier", "one", "two"]);
    let conversation = fixture.conversation(here).await;
    let events = fixture.events().await.into_iter().filter(|(of, _)| *of == here);
    assert!(events.map(|(_, version)| version).eq(1..=conversation.version), "one event for each change, and no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_a_locked_conversation_delays_only_its_own_messages_and_they_keep_their_order() {
    let fixture = fixture(Mode::Distributed).await;
    let held = fixture.start("held").await;
    let mut others = Vec::new();
    for visitor in ["a", "b", "c", "d"] {
        others.push(fixture.start(visitor).await);
    }
    let BatchWriter { db, notifier, .. } = &fixture.writer;
    let (queue, shutdown) = (MessageQueue::new(db, notifier), CancellationToken::new());
    let worker = tokio::spawn(queue.clone().run_worker(shutdown.clone()));

    let tx = db.begin().await.unwrap();
    conversations::find_for_update(&tx, fixture.account, held).await.unwrap().unwrap();
    let mut waiting = Vec::new();
    for text in ["first", "second", "third"] {
        let (queue_of_held, request) = (queue.clone(), fixture.message(held, text));
        waiting.push(tokio::spawn(async move { queue_of_held.write(request).await }));
        // Each of the others is written while the messages before it wait.
        for (number, id) in others.iter().enumerate() {
            let request = fixture.message(*id, &format!("{text} {number}"));
            let written = tokio::time::timeout(Duration::from_secs(5), queue.write(request)).await;
            sequence(&written.expect("an answer while another conversation is locked"));
        }
    }
    assert!(waiting.iter().all(|write| !write.is_finished()));
    drop(tx);
    let results: Vec<_> = join_all(waiting).await.into_iter().map(|result| sequence(&result.unwrap())).collect();
    assert_eq!(results, [2, 3, 4]);
    assert_eq!(fixture.thread(held).await, ["first", "second", "third"]);

    // A call after the shutdown writes its message itself, and waits as well.
    shutdown.cancel();
    worker.await.unwrap();
    let tx = db.begin().await.unwrap();
    conversations::find_for_update(&tx, fixture.account, held).await.unwrap().unwrap();
    let late = queue.write(fixture.message(held, "late"));
    let release = async {
        tokio::task::yield_now().await;
        drop(tx);
    };
    assert_eq!(sequence(&tokio::join!(late, release).0), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_reported_to_every_member_and_the_same_requests_can_be_repeated() {
    let mut fixture = fixture(Mode::Distributed).await;
    let id = fixture.start("a").await;
    let db = fixture.writer.db.clone();
    fixture.before_save(move || {
        Box::pin(async move {
            // The connection is back in the pool, which has no other one for the statement that saves.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let terminate = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE \
                datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%AS now, conversation.%'";
            db.read().execute_unprepared(terminate).await.unwrap();
        })
    });
    let both = vec![fixture.message(id, "one"), fixture.message(id, "two")];
    let results = fixture.batch(both.clone()).await;
    assert!(results.iter().all(|result| matches!(result, Err(WriteError::ConnectionLost))), "{results:?}");
    assert_eq!(fixture.thread(id).await, Vec::<String>::new());
    assert_eq!(fixture.batch(both).await.iter().map(sequence).collect::<Vec<_>>(), [2, 3]);
}
