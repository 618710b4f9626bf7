//! PostgreSQL: one statement locks the conversations, one loads the context, one saves everything. Their texts are the same
//! for any number of rows, so each is prepared once.
//!
//! Lists travel as one array per column. sea-orm's arrays hold no NULLs: a column that may be NULL travels as a value that it
//! never has (the zero UUID, zero, the empty text), and becomes NULL in the statement.

use std::{collections::HashSet, sync::LazyLock};

use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::RequestBatch;
use frontdesk_outbox::Events;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, IdenStatic, Iterable, Statement, Value};
use uuid::Uuid;

use super::{BatchContext, ContextRequest, ConversationBatch, LockedRows, RowKey, row_key};
use crate::{
    domain::Conversation,
    store::{
        NewRows,
        entity::{agent, bot, conversation, entry},
    },
};

pub(super) struct PostgresBatch;

#[async_trait::async_trait]
impl ConversationBatch for PostgresBatch {
    /// One statement while no row is absent or locked by another transaction; a second one tells those two apart.
    async fn lock(&self, tx: &Tx, conversations: &[RowKey]) -> Result<LockedRows, DbErr> {
        let mut wanted = conversations.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut rows = LockedRows::default();
        for row in tx.conn().query_all_raw(by_keys(&LOCK, &wanted)).await? {
            rows.add(&row)?;
        }
        wanted.retain(|key| !rows.contains(key));
        if !wanted.is_empty() {
            let existing = tx.conn().query_all_raw(by_keys(EXISTING, &wanted)).await?;
            let existing = existing.iter().map(row_key).collect::<Result<HashSet<_>, _>>()?;
            rows.busy = wanted.into_iter().filter(|key| existing.contains(key)).collect();
        }
        Ok(rows)
    }

    async fn load_context(&self, tx: &Tx, wanted: ContextRequest<'_>) -> Result<BatchContext, DbErr> {
        let mut values: Vec<Value> = RequestBatch::select_values(wanted.keys.into_iter()).into();
        for keys in [wanted.agents, wanted.bots] {
            let (accounts, ids) = unzip(&keys);
            values.extend([accounts.into(), ids.into()]);
        }
        let load = Statement::from_sql_and_values(DbBackend::Postgres, LOAD_CONTEXT.as_str(), values);
        let mut context = BatchContext::new(Time(0), RequestBatch::default());
        for row in tx.conn().query_all_raw(load).await? {
            match row.try_get("", "kind")? {
                CLOCK => context.now = Time(row.try_get("", "created_at")?).plus(wanted.clock_offset),
                REQUEST => context.requests.add(&row)?,
                AGENT => context.add_agent(agent::Model::from_query_result(&row, "")?.into()),
                _ => context.add_bot(bot::Model::from_query_result(&row, "")?.into()),
            }
        }
        Ok(context)
    }

    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        requests: RequestBatch,
    ) -> Result<u64, DbErr> {
        let mut values = conversation_columns(changed);
        values.extend(entry_columns(rows.entries));
        values.extend(requests.into_values());
        values.extend(rows.events.into_values(tx));
        let save = Statement::from_sql_and_values(DbBackend::Postgres, SAVE.as_str(), values);
        let row = tx.conn().query_one_raw(save).await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))?;
        Ok(u64::try_from(row.try_get::<i64>("", "stored")?).unwrap_or(0))
    }
}

fn unzip(keys: &[RowKey]) -> (Vec<Uuid>, Vec<Uuid>) {
    keys.iter().map(|(account, id)| (account.0, *id)).unzip()
}

fn by_keys(sql: &str, keys: &[RowKey]) -> Statement {
    let (mut accounts, ids) = unzip(keys);
    accounts.dedup();
    Statement::from_sql_and_values(DbBackend::Postgres, sql, [ids.into(), accounts.into()])
}

/// The rows that exist, locked or not.
const EXISTING: &str = "SELECT account_id, id FROM conversations WHERE id = ANY ($1) AND account_id = ANY ($2)";

/// Columns by name: a prepared `*` breaks when a migration adds one.
static LOCK: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<&str> = conversation::Column::iter().map(|column| column.as_str()).collect();
    format!(
        "SELECT {} FROM conversations WHERE id = ANY ($1) AND account_id = ANY ($2) ORDER BY id FOR UPDATE SKIP LOCKED",
        columns.join(", ")
    )
});

// Kinds of the rows that LOAD_CONTEXT returns.
const CLOCK: i32 = 0;
const REQUEST: i32 = 1;
const AGENT: i32 = 2;
const BOT: i32 = 3;

static LOAD_CONTEXT: LazyLock<String> = LazyLock::new(|| {
    let requests = RequestBatch::select_sql(1);
    format!(
        "SELECT {CLOCK} AS kind, NULL::uuid AS account_id, NULL::uuid AS id, NULL::text AS name, NULL::boolean AS active, \
           NULL::boolean AS deleted, NULL::bigint AS timeout_us, NULL::bigint AS version, NULL::text AS actor, \
           NULL::text AS request_id, NULL::bytea AS fingerprint, NULL::text AS result, \
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS created_at \
         UNION ALL \
         SELECT {REQUEST}, account_id, NULL, NULL, NULL, NULL, NULL, NULL, actor, request_id, fingerprint, result, created_at \
           FROM ({requests}) AS request \
         UNION ALL \
         SELECT {AGENT}, agent.account_id, agent.id, name, active, NULL, NULL, version, NULL, NULL, NULL, NULL, NULL \
           FROM unnest($4::uuid[], $5::uuid[]) AS wanted (account_id, id) CROSS JOIN LATERAL (\
             SELECT * FROM agents WHERE agents.account_id = wanted.account_id AND agents.id = wanted.id LIMIT 1) AS agent \
         UNION ALL \
         SELECT {BOT}, bot.account_id, bot.id, name, NULL, deleted, timeout_us, version, NULL, NULL, NULL, NULL, NULL \
           FROM unnest($6::uuid[], $7::uuid[]) AS wanted (account_id, id) CROSS JOIN LATERAL (\
             SELECT * FROM bots WHERE bots.account_id = wanted.account_id AND bots.id = wanted.id LIMIT 1) AS bot"
    )
});

/// Number of parameters that hold columns of conversations and of entries.
const CONVERSATION_COLUMNS: usize = 17;
const ENTRY_COLUMNS: usize = 9;

static SAVE: LazyLock<String> = LazyLock::new(|| {
    let entries = CONVERSATION_COLUMNS + 1;
    let requests = entries + ENTRY_COLUMNS;
    let events = requests + RequestBatch::PARAMETERS;
    let [id, sequence, visible, account, kind, author, content, at, request] = std::array::from_fn(|n| entries + n);
    let (requests, events) = (RequestBatch::insert_sql(requests), Events::insert_sql(events));
    format!(
        "WITH saved_conversations AS (
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
         ), saved_entries AS (
           INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
             created_at, request_id)
           SELECT conversation_id, sequence, NULLIF(visitor_sequence, 0), account_id, author_kind, author_id, content,
             created_at, NULLIF(request_id, '')
           FROM unnest(${id}::uuid[], ${sequence}::bigint[], ${visible}::bigint[], ${account}::uuid[], ${kind}::text[],
             ${author}::text[], ${content}::text[], ${at}::bigint[], ${request}::text[]) AS new (conversation_id, sequence,
             visitor_sequence, account_id, author_kind, author_id, content, created_at, request_id)
         ), saved_events AS (
           {events}
         ), saved_requests AS (
           {requests} RETURNING 1
         ) SELECT count(*) AS stored FROM saved_requests",
        nil = Uuid::nil(),
    )
});

fn conversation_columns(conversations: &[&Conversation]) -> Vec<Value> {
    fn column<T>(conversations: &[&Conversation], get: impl Fn(&Conversation) -> T) -> Value
    where
        Vec<T>: Into<Value>,
    {
        conversations.iter().map(|conversation| get(conversation)).collect::<Vec<_>>().into()
    }
    let all = conversations;
    vec![
        column(all, |one| one.id),
        column(all, |one| one.account.0),
        column(all, |one| one.contact_id.unwrap_or_default()),
        column(all, |one| one.status.as_str().to_owned()),
        column(all, |one| one.owner.map_or("", |owner| owner.kind.as_str()).to_owned()),
        column(all, |one| one.owner.map(|owner| owner.id).unwrap_or_default()),
        column(all, |one| one.epoch),
        column(all, |one| one.session_in_charge().is_some()),
        column(all, |one| one.had_agent),
        column(all, |one| one.last_sequence),
        column(all, |one| one.last_visitor_sequence),
        column(all, |one| one.close_number),
        column(all, |one| one.close_reason.map_or("", |reason| reason.as_str()).to_owned()),
        column(all, |one| one.closed_at.map_or(0, |at| at.0)),
        column(all, |one| one.last_visitor_activity_at.0),
        column(all, |one| one.last_activity_at.0),
        column(all, |one| one.version),
    ]
}

fn entry_columns(entries: Vec<entry::Model>) -> [Value; ENTRY_COLUMNS] {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.conversation_id).collect();
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    let visible: Vec<i64> = entries.iter().map(|entry| entry.visitor_sequence.unwrap_or(0)).collect();
    let accounts: Vec<Uuid> = entries.iter().map(|entry| entry.account_id.0).collect();
    let kinds: Vec<String> = entries.iter().map(|entry| entry.author_kind.as_str().to_owned()).collect();
    let times: Vec<i64> = entries.iter().map(|entry| entry.created_at.0).collect();
    let (mut authors, mut contents, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        authors.push(entry.author_id);
        contents.push(entry.content);
        requests.push(entry.request_id.unwrap_or_default());
    }
    [
        ids.into(),
        sequences.into(),
        visible.into(),
        accounts.into(),
        kinds.into(),
        authors.into(),
        contents.into(),
        times.into(),
        requests.into(),
    ]
}
