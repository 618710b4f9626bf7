//! Conversations that the writer remembers.

use std::sync::atomic::Ordering;

use frontdesk_testkit::{Mode, on_both_modes};

use super::{super::*, fixture::*};
use crate::{
    domain::{Message, RosterState, TeamMember},
    store::agents,
};

on_both_modes!(
    c3_a_remembered_conversation_is_not_loaded_until_another_replica_writes_to_it,
    c12_a_repeat_in_a_remembered_conversation_gets_the_first_result,
    c11_what_a_remembered_conversation_does_not_show_is_decided_on_the_loaded_one,
);

async fn c3_a_remembered_conversation_is_not_loaded_until_another_replica_writes_to_it(mode: Mode) {
    let mut fixture = fixture(mode).await;
    let id = fixture.start("a").await;
    let loads = fixture.count_loads();
    for (text, expected) in [("first", 2), ("second", 3)] {
        assert_eq!(sequence(&fixture.batch(vec![fixture.message(id, text)]).await[0]), expected);
    }
    assert_eq!(loads.swap(0, Ordering::Relaxed), 1);
    let both = vec![fixture.message(id, "third"), fixture.message(id, "fourth")];
    assert_eq!(fixture.batch(both).await.iter().map(sequence).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(loads.load(Ordering::Relaxed), 0);

    let db = &fixture.writer.db;
    let replica = BatchWriter::new(db, &ChangeNotifier::default(), store::conversation_batch(db));
    let (other, written) = QueuedWrite::new(fixture.message(id, "other"));
    assert!(replica.write(vec![other]).await.is_empty());
    assert_eq!(sequence(&written.await.unwrap()), 6);
    for (text, expected) in [("fifth", 7), ("sixth", 8), ("seventh", 9)] {
        assert_eq!(sequence(&fixture.batch(vec![fixture.message(id, text)]).await[0]), expected);
    }
    assert_eq!(loads.load(Ordering::Relaxed), 2, "for the message after the other's, and for the next");
    let texts = ["first", "second", "third", "fourth", "other", "fifth", "sixth", "seventh"];
    assert_eq!(fixture.thread(id).await, texts);
    let conversation = fixture.conversation(id).await;
    let events = fixture.events().await.into_iter().map(|(_, version)| version);
    assert!(events.eq(1..=conversation.version), "one event for each change, and no other");
}

async fn c12_a_repeat_in_a_remembered_conversation_gets_the_first_result(mode: Mode) {
    let fixture = fixture(mode).await;
    let id = fixture.start("a").await;
    sequence(&fixture.batch(vec![fixture.message(id, "first")]).await[0]);
    let repeat = fixture.batch(vec![fixture.message(id, "first"), fixture.message(id, "second")]).await;
    assert!(matches!(repeat[0], Ok(WriteOutcome::Duplicate { sequence: 2 })), "{repeat:?}");
    assert_eq!(sequence(&repeat[1]), 3);
    assert_eq!(fixture.thread(id).await, ["first", "second"]);
}

async fn c11_what_a_remembered_conversation_does_not_show_is_decided_on_the_loaded_one(mode: Mode) {
    let fixture = fixture(mode).await;
    let closed = fixture.start("a").await;
    sequence(&fixture.batch(vec![fixture.message(closed, "one")]).await[0]);
    fixture.close(closed).await;
    let late = fixture.batch(vec![fixture.message(closed, "late")]).await;
    assert!(matches!(&late[..], [Err(WriteError::Rejected(_, now))] if !now.is_open()), "{late:?}");

    let left = fixture.start("b").await;
    sequence(&fixture.batch(vec![fixture.message(left, "two")]).await[0]);
    // Ada becomes the owner by the message that another replica writes.
    let moved = fixture.start("c").await;
    let message = |id: &str, message| WriteRequest {
        account: fixture.account,
        conversation: moved,
        message,
        key: fixture.key(moved, id, id),
    };
    let text = |text: &str| Message { text: text.into(), ..Message::default() };
    let by_visitor = AppendMessage::Visitor { visitor: "c".into(), message: text("v"), request_id: "v".into() };
    sequence(&fixture.batch(vec![message("v", by_visitor)]).await[0]);
    let by_ada = |id: &str, expected_epoch| AppendMessage::Team {
        author: TeamMember::Agent(ADA),
        message: text(id),
        request_id: id.into(),
        expected_epoch,
    };
    let db = &fixture.writer.db;
    let replica = BatchWriter::new(db, &ChangeNotifier::default(), store::conversation_batch(db));
    assert!(replica.write(vec![QueuedWrite::new(message("a", by_ada("a", None))).0]).await.is_empty());
    let epoch = fixture.conversation(moved).await.epoch;
    sequence(&fixture.batch(vec![message("b", by_ada("b", Some(epoch)))]).await[0]);

    let tx = fixture.writer.db.begin().await.unwrap();
    let roster = Some(RosterState { active: false, version: 2 });
    agents::save(&tx, Agent { account: fixture.account, id: ADA, name: "Ada".into(), roster }).await.unwrap();
    tx.commit().await.unwrap();
    let inactive = fixture.batch(vec![fixture.message(left, "three")]).await;
    assert!(matches!(inactive[..], [Err(WriteError::Rejected(..))]), "{inactive:?}");
    assert_eq!(fixture.thread(left).await, ["two"]);
}
