//! Published events as their readers find them: in the order of their positions, up to the one to which every event is published.
//!
//! No event appears at or before that position any more (`positions.rs`): a reader that goes on after the last position that it read misses
//! none. Events of an account are found by reading those of all accounts in ranges of the primary key, so that no event has an index
//! entry for it.

use std::{cmp::Ordering, time::Duration};

use frontdesk_bus::{Bus, ChangeNotifier};
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db, DbErr, hex};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, Statement, Value,
    prelude::*,
};
use serde_json::json;

use crate::{entity, retention};

/// Maximum number of events that a read returns.
const MAX_EVENTS: usize = 200;
/// Maximum number of positions that a read passes.
const MAX_POSITIONS: i64 = 10_000;
/// Maximum age of the first event after a cursor. An event may be up to half an hour older than one with an earlier position, as the time
/// in an event is that of its transaction.
const MAX_AGE: Duration = retention::EVENTS.keep.saturating_sub(Duration::from_secs(30 * 60));
/// Maximum age of the earliest event that a new reader begins with, so that it is half an hour before [`MAX_AGE`].
const MAX_AGE_AT_START: Duration = MAX_AGE.saturating_sub(Duration::from_secs(30 * 60));
/// The id of what [`published_notifier`] notifies of.
pub const PUBLISHED: Uuid = Uuid::nil();

/// A published event.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its position in the outbox.
    pub position: i64,
    /// Its account.
    pub account: AccountId,
    /// The event.
    pub event: Event,
}

/// What a read returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedEvents {
    /// In the order of their positions, without those that cannot be decoded.
    pub events: Vec<Published>,
    /// The read passed every event up to this position.
    pub read_to: i64,
}

/// Notifies of [`PUBLISHED`], when the service `source` has published events and [`settled_to`] returns a later position.
pub fn published_notifier(bus: &Bus, source: &str) -> ChangeNotifier {
    bus.change_notifier(&format!("{source}-events"))
}

/// The position up to which every event is published, and at or before which none appears any more.
pub async fn settled_to(db: &Db) -> Result<i64, DbErr> {
    let sql = "SELECT settled_to FROM outbox_progress";
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    let row = db.read().query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("outbox_progress".into()))?.try_get("", "settled_to")
}

/// The first events of an account after a position, up to `to`, which is not after [`settled_to`].
pub async fn list_published_of(db: &Db, account: AccountId, after: i64, to: i64) -> Result<PublishedEvents, DbErr> {
    let read = db.read_for(account).await?;
    list(read.conn(), &[account], after, to).await
}

/// The same of several accounts, for the server's own work.
pub async fn list_published(db: &Db, accounts: &[AccountId], after: i64, to: i64) -> Result<PublishedEvents, DbErr> {
    list(db.read(), accounts, after, to).await
}

async fn list(
    conn: &impl ConnectionTrait,
    accounts: &[AccountId],
    after: i64,
    to: i64,
) -> Result<PublishedEvents, DbErr> {
    let to = to.min(after.saturating_add(MAX_POSITIONS));
    if to <= after {
        return Ok(PublishedEvents { events: Vec::new(), read_to: after });
    }
    let backend = conn.get_database_backend();
    let (is_wanted, accounts): (_, Value) = if backend == DbBackend::Sqlite {
        let ids: Vec<String> = accounts.iter().map(|account| hex(account.0.as_bytes())).collect();
        ("account_id IN (SELECT unhex(value) FROM json_each($3))", json!(ids).to_string().into())
    } else {
        let ids: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
        ("account_id = ANY($3::uuid[])", ids.into())
    };
    // CASE, because the planners would read all events of an account by its unique index, and sort them.
    let sql = format!(
        "SELECT position, account_id, event FROM outbox_events
         WHERE position > $1 AND position <= $2 AND CASE WHEN {is_wanted} THEN true ELSE false END
         ORDER BY position LIMIT {MAX_EVENTS}"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [after.into(), to.into(), accounts]);
    let rows = conn.query_all_raw(statement).await?;
    let read_to = match rows.last() {
        Some(last) if rows.len() == MAX_EVENTS => last.try_get("", "position")?,
        _ => to,
    };
    let events = rows.iter().filter_map(|row| published(row).transpose()).collect::<Result<_, _>>()?;
    Ok(PublishedEvents { events, read_to })
}

/// None: the event cannot be decoded, which the relay has reported.
fn published(row: &QueryResult) -> Result<Option<Published>, DbErr> {
    let bytes: Vec<u8> = row.try_get("", "event")?;
    let (position, account) = (row.try_get("", "position")?, AccountId(row.try_get("", "account_id")?));
    Ok(Event::decode(bytes.as_slice()).ok().map(|event| Published { position, account, event }))
}

/// Whether every published event after the position, up to `settled_to`, is kept. Ask after a read too: what it did not return may have been
/// deleted before it.
pub async fn is_kept_after(db: &Db, position: i64, settled_to: i64) -> Result<bool, DbErr> {
    match position.cmp(&settled_to) {
        Ordering::Less => {
            let oldest = db.now().await?.minus(MAX_AGE);
            let next = first_after(db, position).await?;
            let is_recent = next.is_none_or(|(_, created_at)| created_at >= oldest);
            // An event that was deleted with its account shows nothing any more; then one that comes before does.
            let is_adjacent = next.is_some_and(|(next, _)| next == position + 1);
            Ok(is_recent && (is_adjacent || has_event_up_to(db, position).await?))
        }
        Ordering::Equal => Ok(true),
        // PostgreSQL has forgotten the last progress in a crash, but no event; or it was restored to an earlier time.
        Ordering::Greater => Ok(first_after(db, position - 1).await?.is_some()),
    }
}

/// The position after which a new reader begins, to read all events that it can read before they are deleted; at most `settled_to`.
pub async fn earliest_position(db: &Db, settled_to: i64) -> Result<i64, DbErr> {
    let oldest = db.now().await?.minus(MAX_AGE_AT_START);
    let (mut low, mut high) = (0, settled_to);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_after(db, middle).await? {
            Some((position, created_at)) if created_at < oldest => low = position.min(high),
            _ => high = middle,
        }
    }
    let first = first_after(db, low).await?;
    Ok(first.map_or(low, |(first, _)| settled_to.min(first - 1)))
}

async fn has_event_up_to(db: &Db, position: i64) -> Result<bool, DbErr> {
    let last = entity::Entity::find()
        .select_only()
        .column(entity::Column::Position)
        .filter(entity::Column::Position.lte(position))
        .order_by_desc(entity::Column::Position)
        .limit(1)
        .into_tuple::<i64>()
        .one(db.read())
        .await?;
    Ok(last.is_some())
}

/// Position and time of the first event after a position, of any account.
async fn first_after(db: &Db, position: i64) -> Result<Option<(i64, Time)>, DbErr> {
    let first = entity::Entity::find()
        .select_only()
        .columns([entity::Column::Position, entity::Column::CreatedAt])
        .filter(entity::Column::Position.gt(position))
        .order_by_asc(entity::Column::Position)
        .limit(1)
        .into_tuple::<(i64, i64)>()
        .one(db.read())
        .await?;
    Ok(first.map(|(position, created_at)| (position, Time(created_at))))
}
