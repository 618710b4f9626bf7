//! The relay: publishes what the outbox holds, in its order, and forgets it days later.

use std::time::Duration;

use frontdesk_bus::{Bus, BusError};
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{EntityTrait, QueryOrder, QuerySelect, entity::prelude::*};
use tokio_util::sync::CancellationToken;

use crate::{entity, handled};

const BATCH: u64 = 500;
/// Published rows stay so long: a bus that lost events can be given them again.
const KEEP_PUBLISHED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Marks stay longer than rows, so that a row published again is still known.
const KEEP_HANDLED: Duration = Duration::from_secs(14 * 24 * 3600);
const CLEAN_EVERY: Duration = Duration::from_secs(3600);

/// Publishes until `shutdown`. A kill between publishing and marking publishes again, which consumers notice by the id.
pub async fn relay(db: Db, bus: Bus, clock: Clock, shutdown: CancellationToken) {
    let mut failures = 0_u32;
    let mut clean_at = clock.now();
    while !shutdown.is_cancelled() {
        let pause = match publish_waiting(&db, &bus, &clock).await {
            Ok(published) if published == BATCH => {
                failures = 0;
                continue;
            }
            Ok(_) => {
                failures = 0;
                Duration::from_secs(5)
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "the relay could not publish; trying again");
                Duration::from_millis(100 << failures.min(4))
            }
        };
        if clock.now() >= clean_at {
            clean_at = clock.now().plus(CLEAN_EVERY);
            if let Err(error) = clean(&db, &clock).await {
                tracing::warn!(%error, "old outbox rows were not removed; trying again in an hour");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = db.outbox_written().notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn publish_waiting(db: &Db, bus: &Bus, clock: &Clock) -> Result<u64, BusError> {
    let rows = entity::Entity::find()
        .filter(entity::Column::PublishedAt.is_null())
        .order_by_asc(entity::Column::Position)
        .limit(BATCH)
        .all(db.read())
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let events: Result<Vec<Event>, _> = rows.iter().map(|row| Event::decode(row.event.as_slice())).collect();
    bus.publish(&events.map_err(|error| DbErr::Type(error.to_string()))?).await?;
    let tx = db.begin().await?;
    entity::Entity::update_many()
        .filter(entity::Column::Position.is_in(rows.iter().map(|row| row.position)))
        .col_expr(entity::Column::PublishedAt, Expr::value(clock.now().0))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(rows.len() as u64)
}

async fn clean(db: &Db, clock: &Clock) -> Result<(), DbErr> {
    let now = clock.now();
    let tx = db.begin().await?;
    entity::Entity::delete_many()
        .filter(entity::Column::PublishedAt.lt(now.minus(KEEP_PUBLISHED).0))
        .exec(tx.conn())
        .await?;
    handled::entity::Entity::delete_many()
        .filter(handled::entity::Column::HandledAt.lt(now.minus(KEEP_HANDLED).0))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}
