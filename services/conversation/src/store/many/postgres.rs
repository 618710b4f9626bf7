//! Many conversations on PostgreSQL: one statement locks them and one writes them, whatever their number, so that each is
//! prepared once.
//!
//! Lists travel as arrays of one column each. The arrays of sea-orm hold no NULLs: a column that may be NULL travels as a value
//! that it never has, and becomes NULL here.

use std::sync::LazyLock;

use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::RequestBatch;
use frontdesk_outbox::Events;
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, DbErr, FromQueryResult, IdenStatic, Iterable, Statement, Value};
use uuid::Uuid;

use crate::store::{
    changes::Changes,
    entity::{
        conversations::{Column, Model},
        entries,
    },
};

/// Columns by name: a prepared `*` breaks when a migration adds one.
static LOCK: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<&str> = Column::iter().map(|column| column.as_str()).collect();
    format!(
        "SELECT {} FROM conversations WHERE id = ANY ($1) AND account_id = ANY ($2) ORDER BY id FOR UPDATE",
        columns.join(", ")
    )
});

/// The rows, locked in the order of their ids: two who lock many wait for each other and never in a circle.
pub(super) async fn lock(tx: &Tx, of: &[(AccountId, Uuid)]) -> Result<Vec<Model>, DbErr> {
    let (mut accounts, mut ids): (Vec<Uuid>, Vec<Uuid>) = of.iter().map(|(account, id)| (account.0, *id)).unzip();
    accounts.sort_unstable();
    accounts.dedup();
    ids.sort_unstable();
    ids.dedup();
    let lock = Statement::from_sql_and_values(DbBackend::Postgres, LOCK.as_str(), [ids.into(), accounts.into()]);
    tx.conn().query_all_raw(lock).await?.iter().map(|row| Model::from_query_result(row, "")).collect()
}

const ROWS: usize = 17;
const ENTRIES: usize = 8;

static SAVE: LazyLock<String> = LazyLock::new(|| {
    let entries = ROWS + 1;
    let requests = entries + ENTRIES;
    let events = requests + RequestBatch::PARAMETERS;
    let [id, sequence, visible, account, kind, author, content, at] = std::array::from_fn(|n| entries + n);
    let (requests, events) = (RequestBatch::insert_sql(requests), Events::insert_sql(events));
    format!(
        "WITH saved AS (
           UPDATE conversations AS old SET
             contact_id = NULLIF(new.contact_id, '{nil}'), status = new.status,
             assignee_kind = NULLIF(new.assignee_kind, ''), assignee_id = NULLIF(new.assignee_id, '{nil}'),
             epoch = new.epoch, bot_in_charge = new.bot_in_charge, had_agent = new.had_agent,
             last_sequence = new.last_sequence, last_visitor_sequence = new.last_visitor_sequence,
             close_number = new.close_number, close_reason = NULLIF(new.close_reason, ''),
             closed_at = NULLIF(new.closed_at, 0), last_visitor_activity_at = new.last_visitor_activity_at,
             last_activity_at = new.last_activity_at, version = new.version
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::boolean[],
             $9::boolean[], $10::bigint[], $11::bigint[], $12::integer[], $13::text[], $14::bigint[], $15::bigint[],
             $16::bigint[], $17::bigint[]) AS new (id, account_id, contact_id, status, assignee_kind, assignee_id, epoch,
             bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number, close_reason, closed_at,
             last_visitor_activity_at, last_activity_at, version)
           WHERE old.id = new.id
         ), written AS (
           INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
             created_at)
           SELECT conversation_id, sequence, NULLIF(visitor_sequence, 0), account_id, author_kind, author_id, content,
             created_at
           FROM unnest(${id}::uuid[], ${sequence}::bigint[], ${visible}::bigint[], ${account}::uuid[], ${kind}::text[],
             ${author}::text[], ${content}::text[], ${at}::bigint[]) AS new (conversation_id, sequence, visitor_sequence,
             account_id, author_kind, author_id, content, created_at)
         ), told AS (
           {events}
         ), kept AS (
           {requests} RETURNING 1
         ) SELECT count(*) AS kept FROM kept",
        nil = Uuid::nil(),
    )
});

/// Everything in one statement. Gives how many requests were kept.
pub(super) async fn save(tx: &Tx, changed: &[&Model], changes: Changes, requests: RequestBatch) -> Result<u64, DbErr> {
    let mut values = rows(changed);
    values.extend(new_entries(changes.entries));
    values.extend(requests.into_values());
    values.extend(changes.events.into_values(tx));
    let save = Statement::from_sql_and_values(DbBackend::Postgres, SAVE.as_str(), values);
    let row = tx.conn().query_one_raw(save).await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))?;
    Ok(u64::try_from(row.try_get::<i64>("", "kept")?).unwrap_or(0))
}

fn rows(rows: &[&Model]) -> Vec<Value> {
    fn each<T>(rows: &[&Model], get: fn(&Model) -> T) -> Value
    where
        Vec<T>: Into<Value>,
    {
        rows.iter().map(|row| get(row)).collect::<Vec<_>>().into()
    }
    vec![
        each(rows, |row| row.id),
        each(rows, |row| row.account_id.0),
        each(rows, |row| row.contact_id.unwrap_or_default()),
        each(rows, |row| row.status.to_value()),
        each(rows, |row| row.assignee_kind.map(|kind| kind.to_value()).unwrap_or_default()),
        each(rows, |row| row.assignee_id.unwrap_or_default()),
        each(rows, |row| row.epoch),
        each(rows, |row| row.bot_in_charge),
        each(rows, |row| row.had_agent),
        each(rows, |row| row.last_sequence),
        each(rows, |row| row.last_visitor_sequence),
        each(rows, |row| row.close_number),
        each(rows, |row| row.close_reason.map(|reason| reason.to_value()).unwrap_or_default()),
        each(rows, |row| row.closed_at.map_or(0, |at| at.0)),
        each(rows, |row| row.last_visitor_activity_at.0),
        each(rows, |row| row.last_activity_at.0),
        each(rows, |row| row.version),
    ]
}

fn new_entries(entries: Vec<entries::Model>) -> [Value; ENTRIES] {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.conversation_id).collect();
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    let visible: Vec<i64> = entries.iter().map(|entry| entry.visitor_sequence.unwrap_or(0)).collect();
    let accounts: Vec<Uuid> = entries.iter().map(|entry| entry.account_id.0).collect();
    let kinds: Vec<String> = entries.iter().map(|entry| entry.author_kind.to_value()).collect();
    let times: Vec<i64> = entries.iter().map(|entry| entry.created_at.0).collect();
    let (authors, contents): (Vec<String>, Vec<String>) =
        entries.into_iter().map(|entry| (entry.author_id, entry.content)).unzip();
    [
        ids.into(),
        sequences.into(),
        visible.into(),
        accounts.into(),
        kinds.into(),
        authors.into(),
        contents.into(),
        times.into(),
    ]
}
