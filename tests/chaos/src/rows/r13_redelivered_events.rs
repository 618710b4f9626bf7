//! R13: events through the outbox and the bus alone, on a real broker and database: some are delivered twice, acknowledgements
//! are lost, and some cannot be handled.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use frontdesk_bus::{Bus, BusSettings, Consumer, DEAD_LETTERS, Outcome, decode};
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbErr, DbSettings, Sql, migrate};
use frontdesk_outbox::{
    Aggregate, OUTBOX, OUTBOX_LEADER_AND_STREAM, OUTBOX_PROGRESS, OUTBOX_REPUBLISHING, append, mark_handled, relay,
};
use frontdesk_proto::event::v1::{BotSessionStepReached, Event};
use frontdesk_test_servers::{Nats, Postgres};
use prost::{Message, Name};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Failure, Row, Size};
use crate::proxy::{Protocol, Proxy};

const SOURCE: &str = "test";
const CONSUMER: &str = "test.effects";
/// Step id of the events that the consumer cannot handle.
const POISON: &str = "poison";
/// Number of aggregates that the events are spread over.
const AGGREGATES: usize = 400;
/// Maximum time between the creation of an event and its effect, in seconds: poison, redeliveries and lost acknowledgements may
/// not delay other events for longer.
const MAX_DELAY: f64 = 1.0;
/// How long the events may take until all of them have had their effect or are dead letters.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long events with a lost acknowledgement take until they are redelivered.
const REDELIVERED_AFTER: Duration = Duration::from_secs(7);

const EFFECTS: Sql =
    Sql { name: "effects", text: "CREATE TABLE effects (event_id UUID NOT NULL, delay_us BIGINT NOT NULL)" };

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(OUTBOX),
            Box::new(OUTBOX_LEADER_AND_STREAM),
            Box::new(OUTBOX_REPUBLISHING),
            Box::new(OUTBOX_PROGRESS),
            Box::new(DEAD_LETTERS),
            Box::new(EFFECTS),
        ]
    }
}

/// A consumer that inserts one row for each event. A second row for the same event would be a double effect.
struct Effects(Db);

impl Effects {
    async fn effect(&self, event: &Event) -> Result<(), DbErr> {
        let tx = self.0.begin().await?;
        if !mark_handled(&tx, CONSUMER, event).await? {
            return Ok(());
        }
        let sql = "INSERT INTO effects SELECT event_id, \
                   (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - created_at \
                   FROM outbox_events WHERE event_id = $1::uuid";
        let values: [sea_orm::Value; 1] = [event.id.clone().into()];
        tx.conn().execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for Effects {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        vec![BotSessionStepReached::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match decode::<BotSessionStepReached>(event) {
            Err(reason) => Outcome::DeadLetter(reason),
            Ok(event) if event.step_id == POISON => Outcome::DeadLetter("poison".into()),
            Ok(_) => self.effect(event).await.into(),
        }
    }
}

pub(super) async fn run(size: Size, seed: u64, folder: &Path) -> Result<Row, Failure> {
    let events: usize = size.pick(2_000, 20_000, 200_000);
    let poison = events / 200;
    let rate: u32 = if cfg!(debug_assertions) { 200 } else { 500 };
    std::fs::create_dir_all(folder)?;
    let (postgres, nats) = tokio::join!(Postgres::start(), Nats::start());
    let url = postgres.create_database("effects").await;
    let clock = Clock::system();
    let settings = DbSettings { url: DatabaseUrl(url), max_connections: Some(24) };
    let db = Db::connect(&settings, &clock).await?;
    migrate::<Migrator>(&db).await?;
    let stop = CancellationToken::new();
    let (mut buses, mut proxies) = (Vec::new(), Vec::new());
    for replica in 0..2 {
        let proxy = Proxy::start(nats.port, Protocol::Nats, seed + replica).await?;
        let settings = BusSettings { url: format!("nats://127.0.0.1:{}", proxy.port), ..BusSettings::default() };
        let bus = Bus::jet_stream(settings, &frontdesk_clock::Clock::system()).await?;
        bus.subscribe(Effects(db.clone()), &db);
        for _ in 0..100 {
            // The bus connects in the background.
            if bus.prepare(&[SOURCE]).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (running, stopping) = (bus.clone(), stop.clone());
        tokio::spawn(async move { running.run(stopping).await });
        tokio::spawn(relay(SOURCE, db.clone(), bus.clone(), stop.clone()));
        proxy.drop_acks(200);
        buses.push(bus);
        proxies.push(proxy);
    }
    let redelivered = publish(&db, &buses[0], (events, poison), rate, seed).await?;
    wait_until_handled(&db, events - poison, poison).await?;
    proxies.iter().for_each(Proxy::heal);
    tokio::time::sleep(REDELIVERED_AFTER).await;
    let row = judge(&db, (events, poison), redelivered).await?;
    stop.cancel();
    let lost: u64 = proxies.iter().map(Proxy::protocol_faults).sum();
    Ok(row.with("acks_lost", lost).with("rate_per_second", rate))
}

/// Appends events to the outbox at a steady rate, and delivers one published event a second time for every fifth. Returns the
/// number of redelivered events.
async fn publish(db: &Db, bus: &Bus, (events, poison): (usize, usize), rate: u32, seed: u64) -> Result<usize, Failure> {
    let mut random = StdRng::seed_from_u64(seed);
    let aggregates: Vec<Uuid> = (0..AGGREGATES).map(|_| frontdesk_clock::testing::new_id()).collect();
    let mut versions = vec![0_i64; AGGREGATES];
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let poison_interval = events / poison.max(1);
    let mut redelivered = 0;
    for number in 0..events {
        ticks.tick().await;
        let index = random.random_range(0..AGGREGATES);
        versions[index] += 1;
        let account = AccountId(Uuid::nil());
        let aggregate =
            Aggregate { source: SOURCE, account, kind: "thing", id: aggregates[index], version: versions[index] };
        let step_id = if number % poison_interval == poison_interval / 2 { POISON } else { "step" };
        let message = BotSessionStepReached { step_id: step_id.into(), ..Default::default() };
        let mut tx = db.begin().await?;
        append(&mut tx, aggregate, &message).await?;
        tx.commit().await?;
        if random.random_bool(0.2) && number > 100 {
            redelivered += usize::from(redeliver(db, bus).await?);
        }
    }
    Ok(redelivered)
}

/// Delivers the newest published event to the consumer a second time, with another message id. Returns whether there was one.
async fn redeliver(db: &Db, bus: &Bus) -> Result<bool, Failure> {
    let sql = "SELECT event FROM outbox_events WHERE position <= (SELECT settled_to FROM outbox_progress) \
         ORDER BY position DESC LIMIT 1";
    let row = db.read().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let Some(row) = row else { return Ok(false) };
    let event = Event::decode(row.try_get::<Vec<u8>>("", "event")?.as_slice())?;
    Ok(bus.replay(CONSUMER, &event).await.is_ok())
}

async fn count(db: &Db, sql: &str) -> Result<i64, Failure> {
    let row = db.read().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    Ok(row.ok_or("no count")?.try_get_by_index(0)?)
}

async fn wait_until_handled(db: &Db, effects: usize, poison: usize) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < TIMEOUT {
        let done = count(db, "SELECT count(DISTINCT event_id) FROM effects").await?;
        let dead = count(db, "SELECT count(*) FROM dead_letters").await?;
        if done >= effects as i64 && dead >= poison as i64 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn judge(db: &Db, (events, poison): (usize, usize), redelivered: usize) -> Result<Row, Failure> {
    let done = count(db, "SELECT count(*) FROM effects").await?;
    let distinct = count(db, "SELECT count(DISTINCT event_id) FROM effects").await?;
    let dead = count(db, "SELECT count(*) FROM dead_letters").await?;
    let slowest = count(db, "SELECT coalesce(max(delay_us), 0) FROM effects").await? as f64 / 1e6;
    let p99 = "SELECT coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY delay_us), 0) FROM effects";
    let p99 = count(db, p99).await? as f64 / 1e6;
    let doubled = done - distinct;
    let missing = (events - poison) as i64 - distinct;
    let pass = doubled == 0 && missing == 0 && dead == poison as i64 && slowest <= MAX_DELAY;
    let row = Row::new(doubled, pass)
        .with("unit", "double effects")
        .with("events", events)
        .with("missing", missing)
        .with("dead_letters", dead)
        .with("poison", poison)
        .with("redelivered", redelivered)
        .with("slowest_seconds", slowest)
        .with("p99_seconds", p99);
    Ok(row)
}
