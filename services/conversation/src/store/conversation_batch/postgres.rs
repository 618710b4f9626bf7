//! PostgreSQL: one statement loads the conversations and the context, or one locks and one loads the context; one saves
//! everything. Their texts are the same for any number of rows, so each is prepared once.
//!
//! Lists travel as one array per column. sea-orm's arrays hold no NULLs: a column that may be NULL travels as a value that it
//! never has (the zero UUID, zero, the empty text), and becomes NULL in the statement.

use std::{
    collections::{BTreeSet, HashSet},
    sync::LazyLock,
};

use frontdesk_clock::Time;
use frontdesk_db::{Tx, is_in};
use frontdesk_idempotency::RequestBatch;
use frontdesk_outbox::Events;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, IdenStatic, Iterable, Statement, Value};
use uuid::Uuid;

use super::{BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey, row_key};
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
    fn first_attempt(&self) -> Locking {
        Locking::Optimistic
    }

    /// Rows that are to be locked are locked by a statement before: another transaction may commit between the beginning of that
    /// one and its lock, and what it returned would be as of before that commit (READ COMMITTED reads a statement as of its
    /// beginning).
    async fn load(
        &self,
        tx: &Tx,
        wanted: &BatchRequest<'_>,
        locking: Locking,
    ) -> Result<(BatchRows, BatchContext), DbErr> {
        let (accounts, ids) = unzip(&wanted.conversations);
        let accounts: Vec<Uuid> = BTreeSet::from_iter(accounts).into_iter().collect();
        let conversations: [Value; 2] = [ids.into(), accounts.into()];
        let locked = match locking {
            Locking::Optimistic => None,
            Locking::Lock => {
                let lock = Statement::from_sql_and_values(DbBackend::Postgres, LOCK, conversations.clone());
                let rows = tx.conn().query_all_raw(lock).await?;
                Some(rows.iter().map(row_key).collect::<Result<HashSet<_>, _>>()?)
            }
        };
        let (agent_accounts, agents) = unzip(&wanted.agents);
        let keys = RequestBatch::select_values(wanted.keys.iter().copied());
        let values = conversations.into_iter().chain(keys).chain([agent_accounts.into(), agents.into()]);
        let load = Statement::from_sql_and_values(DbBackend::Postgres, LOAD.as_str(), values);
        let mut rows = BatchRows::default();
        let mut context = BatchContext::new(Time(0), RequestBatch::default());
        for row in tx.conn().query_all_raw(load).await? {
            match row.try_get("", "kind")? {
                CONVERSATION => rows.add(&row)?,
                CLOCK => context.now = Time(row.try_get("", "created_at")?).plus(tx.clock_offset()),
                REQUEST => context.requests.add(&row)?,
                AGENT => context.add_agent(agent::Model::from_query_result(&row, "")?.into()),
                _ => context.add_bot(bot::Model::from_query_result(&row, "")?.into()),
            }
        }
        if let Some(locked) = locked {
            let busy = rows.conversations.extract_if(|key, _| !locked.contains(key));
            rows.busy = busy.map(|(key, _)| key).collect();
        }
        Ok((rows, context))
    }

    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        requests: RequestBatch,
    ) -> Result<HashSet<RowKey>, DbErr> {
        let mut values = conversation_columns(changed);
        values.push(rows.changed.into_values().collect::<Vec<_>>().into());
        values.extend(entry_columns(rows.entries));
        values.extend(requests.into_values());
        values.extend(rows.events.into_values(tx));
        let save = Statement::from_sql_and_values(DbBackend::Postgres, SAVE.as_str(), values);
        let saved = tx.conn().query_all_raw(save).await?;
        if saved.len() == changed.len() {
            return Ok(HashSet::new());
        }
        let saved = saved.iter().map(|row| row.try_get("", "id")).collect::<Result<HashSet<Uuid>, _>>()?;
        Ok(changed.iter().filter(|one| !saved.contains(&one.id)).map(|one| (one.account, one.id)).collect())
    }
}

fn unzip(keys: &[RowKey]) -> (Vec<Uuid>, Vec<Uuid>) {
    keys.iter().map(|(account, id)| (account.0, *id)).unzip()
}

/// Nothing waits for a lock, so the order of the rows does not matter.
const LOCK: &str =
    "SELECT account_id, id FROM conversations WHERE id = ANY ($1) AND account_id = ANY ($2) FOR UPDATE SKIP LOCKED";

// Kinds of the rows that LOAD returns.
const CLOCK: i32 = 0;
const CONVERSATION: i32 = 1;
const REQUEST: i32 = 2;
const AGENT: i32 = 3;
const BOT: i32 = 4;

/// The columns that LOAD returns besides those of the conversations, with their types.
const OTHER_COLUMNS: [(&str, &str); 8] = [
    ("name", "text"),
    ("active", "boolean"),
    ("deleted", "boolean"),
    ("timeout_us", "bigint"),
    ("actor", "text"),
    ("request_id", "text"),
    ("fingerprint", "bytea"),
    ("result", "text"),
];

/// Each kind of row has the columns of all kinds; those that it lacks are NULL. Columns by name: a prepared `*` breaks when a
/// migration adds one.
static LOAD: LazyLock<String> = LazyLock::new(|| {
    let of_conversations: Vec<&str> = conversation::Column::iter().map(|column| column.as_str()).collect();
    let select = |kind: i32, own: &[&str]| {
        let of_conversation = of_conversations.iter().map(|column| (*column, None));
        let others = OTHER_COLUMNS.iter().map(|(column, sql_type)| (*column, Some(*sql_type)));
        let columns = of_conversation.chain(others).map(|(column, sql_type)| match (own.contains(&column), sql_type) {
            (true, _) => column.to_owned(),
            (false, Some(sql_type)) => format!("NULL::{sql_type} AS {column}"),
            (false, None) => format!("NULL AS {column}"),
        });
        format!("SELECT {kind} AS kind, {}", columns.collect::<Vec<_>>().join(", "))
    };
    format!(
        "WITH conversation AS (
           SELECT {} FROM conversations WHERE id = ANY ($1) AND account_id = ANY ($2)
         )
         {} FROM conversation
         UNION ALL
         {} FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS created_at) AS clock
         UNION ALL
         {} FROM ({}) AS request
         UNION ALL
         {} FROM unnest($6::uuid[], $7::uuid[]) AS wanted (of_account, agent) CROSS JOIN LATERAL (
           SELECT * FROM agents WHERE account_id = of_account AND id = agent LIMIT 1) AS agent
         UNION ALL
         {} FROM (SELECT DISTINCT account_id AS of_account, bot_id AS bot FROM conversation WHERE bot_in_charge) AS wanted
           CROSS JOIN LATERAL (SELECT * FROM bots WHERE account_id = of_account AND id = bot LIMIT 1) AS bot",
        of_conversations.join(", "),
        select(CONVERSATION, &of_conversations),
        select(CLOCK, &["created_at"]),
        select(REQUEST, &["account_id", "actor", "request_id", "fingerprint", "result", "created_at"]),
        RequestBatch::select_sql(3),
        select(AGENT, &["account_id", "id", "name", "active", "version"]),
        select(BOT, &["account_id", "id", "name", "deleted", "timeout_us", "version"]),
    )
});

/// Number of parameters that hold columns of conversations, with the version of the row that was loaded, and of entries.
const CONVERSATION_COLUMNS: usize = 18;
const ENTRY_COLUMNS: usize = 9;

/// Saves the conversations that are as they were loaded, and no others: what was read without a lock may have changed since.
static SAVE: LazyLock<String> = LazyLock::new(|| {
    let entries = CONVERSATION_COLUMNS + 1;
    let requests = entries + ENTRY_COLUMNS;
    let events = requests + RequestBatch::PARAMETERS;
    let [id, sequence, visible, account, kind, author, content, at, request] = std::array::from_fn(|n| entries + n);
    let unchanged = "SELECT id FROM unchanged";
    format!(
        "WITH unchanged AS MATERIALIZED (
           SELECT new.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::bigint[],
             $8::boolean[], $9::boolean[], $10::bigint[], $11::bigint[], $12::integer[], $13::text[], $14::bigint[],
             $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[]) AS new (id, account_id, contact_id, status,
             assignee_kind, assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number,
             close_reason, closed_at, last_visitor_activity_at, last_activity_at, version, version_before)
           JOIN conversations AS old ON old.id = new.id AND old.account_id = new.account_id AND old.version = version_before
           FOR UPDATE OF old SKIP LOCKED
         ), saved_conversations AS (
           UPDATE conversations AS old SET
             contact_id = NULLIF(new.contact_id, '{nil}'), status = new.status,
             assignee_kind = NULLIF(new.assignee_kind, ''), assignee_id = NULLIF(new.assignee_id, '{nil}'),
             epoch = new.epoch, bot_in_charge = new.bot_in_charge, had_agent = new.had_agent,
             last_sequence = new.last_sequence, last_visitor_sequence = new.last_visitor_sequence,
             close_number = new.close_number, close_reason = NULLIF(new.close_reason, ''),
             closed_at = NULLIF(new.closed_at, 0), last_visitor_activity_at = new.last_visitor_activity_at,
             last_activity_at = new.last_activity_at, version = new.version
           FROM unchanged AS new WHERE old.id = new.id
         ), saved_entries AS (
           INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
             created_at, request_id)
           SELECT conversation_id, sequence, NULLIF(visitor_sequence, 0), account_id, author_kind, author_id, content,
             created_at, NULLIF(request_id, '')
           FROM unnest(${id}::uuid[], ${sequence}::bigint[], ${visible}::bigint[], ${account}::uuid[], ${kind}::text[],
             ${author}::text[], ${content}::text[], ${at}::bigint[], ${request}::text[]) AS new (conversation_id, sequence,
             visitor_sequence, account_id, author_kind, author_id, content, created_at, request_id)
           WHERE {is_unchanged}
         ), saved_events AS (
           {events}
         ), saved_requests AS (
           {requests}
         ) {unchanged}",
        is_unchanged = is_in("conversation_id", unchanged),
        events = Events::insert_sql(events, Some(unchanged)),
        requests = RequestBatch::insert_sql(requests, unchanged),
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
