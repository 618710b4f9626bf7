//! The tables of the outbox on SQLite.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use frontdesk_db::{DatabaseUrl, Db, DbSettings, delete_expired_once, migrate};
use frontdesk_proto::event::v1::{ConversationClosed, Event};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, Statement, prelude::*};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::*;
use crate::{
    entity::{Column, Entity, Model},
    positions::Positions,
};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(OUTBOX),
            Box::new(OUTBOX_LEADER_AND_STREAM),
            Box::new(OUTBOX_REPUBLISHING),
            Box::new(OUTBOX_PROGRESS),
        ]
    }
}

/// The schema of the release before.
struct Before;

impl MigratorTrait for Before {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(OUTBOX), Box::new(OUTBOX_LEADER_AND_STREAM), Box::new(OUTBOX_REPUBLISHING)]
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn db(folder: &tempfile::TempDir, clock: &Clock) -> Db {
    let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("outbox.db").display()));
    let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
    migrate::<Migrator>(&db).await.unwrap();
    db
}

fn aggregate(version: i64) -> Aggregate {
    let account = AccountId(Uuid::from_u128(1));
    Aggregate { source: "test", account, kind: "thing", id: Uuid::from_u128(2), version }
}

async fn rows(db: &Db) -> Vec<Model> {
    Entity::find().order_by_asc(Column::Position).all(db.read()).await.unwrap()
}

#[tokio::test]
async fn i17_events_are_written_in_their_order_if_and_only_if_the_change_commits() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let mut lost = db.begin().await.unwrap();
    append(&mut lost, aggregate(1), &ConversationClosed::default()).await.unwrap();
    drop(lost);

    let mut tx = db.begin().await.unwrap();
    let mut events = Events::new(tx.now().await.unwrap());
    for version in 1..=3 {
        events.push(aggregate(version), &ConversationClosed::default(), "");
    }
    events.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    let rows = rows(&db).await;
    assert_eq!(rows.iter().map(|row| row.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(rows.is_sorted_by_key(|row| row.event_id), "ids increase with the positions");
    for row in rows {
        let event = Event::decode(row.event.as_slice()).unwrap();
        assert_eq!((event.id, event.version), (row.event_id.to_string(), i32::try_from(row.version).unwrap()));
    }
}

#[tokio::test]
async fn i17_an_event_is_handled_for_the_first_time_once_per_consumer() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let event = Event { id: Uuid::from_u128(7).to_string(), ..Event::default() };
    for (consumer, first_time) in [("one", true), ("one", false), ("two", true)] {
        let tx = db.begin().await.unwrap();
        assert_eq!(mark_handled(&tx, consumer, &event).await.unwrap(), first_time, "{consumer}");
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_published_is_counted_with_the_time_of_the_first() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    assert_eq!(measure_unpublished(&db).await.unwrap(), Unpublished { events: 0, oldest: None });
    let mut tx = db.begin().await.unwrap();
    for version in 1..=3 {
        append(&mut tx, aggregate(version), &ConversationClosed::default()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let first = Time(rows(&db).await[0].created_at);
    assert_eq!(measure_unpublished(&db).await.unwrap(), Unpublished { events: 3, oldest: Some(first) });
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("UPDATE outbox_progress SET settled_to = 2, published_to = 2").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(measure_unpublished(&db).await.unwrap().events, 1);
}

#[tokio::test]
async fn published_events_are_kept_for_seven_days_and_unpublished_ones_for_ever() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let mut tx = db.begin().await.unwrap();
    for version in 1..=2 {
        append(&mut tx, aggregate(version), &ConversationClosed::default()).await.unwrap();
    }
    tx.conn()
        .execute_unprepared("UPDATE outbox_progress SET settled_to = 1, published_to = 2, gaps = '[[2,2]]'")
        .await
        .unwrap();
    mark_handled(&tx, "one", &Event { id: Uuid::nil().to_string(), ..Event::default() }).await.unwrap();
    tx.commit().await.unwrap();

    let deleted = async || {
        let mut deleted = Vec::new();
        for retention in &RETENTIONS {
            deleted.push(delete_expired_once(&db, retention).await.unwrap());
        }
        deleted
    };
    clock.advance(7 * DAY - DAY / 24).unwrap();
    assert_eq!(deleted().await, [0, 0, 0]);
    clock.advance(DAY / 12).unwrap();
    assert_eq!(deleted().await, [1, 0, 0], "events");
    clock.advance(7 * DAY).unwrap();
    assert_eq!(deleted().await, [0, 0, 1], "marks, for 14 days");
    assert_eq!(rows(&db).await.iter().map(|row| row.version).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn i17_a_reader_can_go_on_for_as_long_as_the_next_event_is_kept() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let publish = async |version| {
        let mut tx = db.begin().await.unwrap();
        append(&mut tx, aggregate(version), &ConversationClosed::default()).await.unwrap();
        let settle = "UPDATE outbox_progress SET settled_to = (SELECT max(position) FROM outbox_events)";
        tx.conn().execute_unprepared(settle).await.unwrap();
        tx.commit().await.unwrap();
    };
    let deleted = async || delete_expired_once(&db, &retention::EVENTS).await.unwrap();
    let is_kept = async |after, settled_to| is_kept_after(&db, after, settled_to).await.unwrap();
    let earliest = async |settled_to| earliest_position(&db, settled_to).await.unwrap();
    assert_eq!((settled_to(&db).await.unwrap(), is_kept(0, 0).await, earliest(0).await), (0, true, 0));

    publish(1).await;
    clock.advance(10 * DAY).unwrap();
    assert_eq!(
        (deleted().await, is_kept(0, 1).await),
        (0, false),
        "the last event is kept, and is too old for a reader"
    );
    publish(2).await;
    assert_eq!(
        (settled_to(&db).await.unwrap(), deleted().await),
        (2, 0),
        "a reader may have stopped at the first event"
    );
    assert_eq!((is_kept(0, 2).await, is_kept(1, 2).await, earliest(2).await), (false, true, 1));

    clock.advance(7 * DAY - 3 * HOUR / 4).unwrap();
    assert_eq!(
        (is_kept(1, 2).await, earliest(2).await),
        (true, 2),
        "a new reader begins with an event that it can finish"
    );
    clock.advance(HOUR / 2).unwrap();
    assert_eq!((is_kept(1, 2).await, deleted().await), (false, 0), "refused before it is deleted");
    clock.advance(HOUR / 2).unwrap();
    assert_eq!(deleted().await, 1);
    publish(3).await;
    assert_eq!(rows(&db).await.iter().map(|row| row.version).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((is_kept(1, 3).await, is_kept(2, 3).await, is_kept(3, 3).await), (false, true, true));
    assert_eq!(
        (is_kept(3, 2).await, is_kept(4, 2).await),
        (true, false),
        "a forgotten progress, and a restored database"
    );

    // As the erasure of an account does.
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared("DELETE FROM outbox_events WHERE version = 2").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((is_kept(1, 3).await, is_kept(2, 3).await, earliest(3).await), (false, true, 2));
}

#[tokio::test]
async fn i17_the_next_batch_has_the_gaps_first_and_then_what_follows() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let db = db(&folder, &clock).await;
    let mut tx = db.begin().await.unwrap();
    let mut events = Events::new(tx.now().await.unwrap());
    for version in 1..=4 {
        events.push(aggregate(version), &ConversationClosed::default(), "");
    }
    events.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let positions: Vec<i64> = rows(&db).await.iter().map(|row| row.position).collect();
    let waiting = async |published| waiting::read_waiting(&db, &published).await.unwrap();
    let versions = |rows: &[Model]| rows.iter().map(|row| row.version).collect::<Vec<_>>();

    let all = waiting(Positions::default()).await;
    assert_eq!((versions(&all.rows), all.after.settled_to()), (vec![1, 2, 3, 4], positions[3]));
    let unsent = Positions::new(positions[2], "[]").unwrap().without([positions[1]].into_iter());
    let left = waiting(unsent).await;
    assert_eq!((versions(&left.rows), left.after.settled_to()), (vec![2, 4], positions[3]));
}

#[tokio::test]
async fn i17_an_upgrade_goes_on_at_the_first_event_that_waits() {
    for (marked, settled_to) in [("version < 3", 2), ("true", 4), ("false", 0)] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let url = DatabaseUrl(format!("sqlite://{}", folder.path().join("outbox.db").display()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, &clock).await.unwrap();
        migrate::<Before>(&db).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for version in 1..=4 {
            append(&mut tx, aggregate(version), &ConversationClosed::default()).await.unwrap();
        }
        let marks = format!("UPDATE outbox_events SET published_at = CASE WHEN {marked} THEN 1 END");
        tx.conn().execute_unprepared(&marks).await.unwrap();
        tx.commit().await.unwrap();
        migrate::<Migrator>(&db).await.unwrap();
        let progress = Statement::from_string(DbBackend::Sqlite, "SELECT * FROM outbox_progress");
        let row = db.read().query_one_raw(progress).await.unwrap().unwrap();
        let columns: [i64; 2] = ["settled_to", "published_to"].map(|name| row.try_get("", name).unwrap());
        assert_eq!(columns, [settled_to; 2], "{marked}");
    }
}
