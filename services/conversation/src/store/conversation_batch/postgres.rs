//! PostgreSQL: one statement loads the conversations and the context, or one locks and one loads the context; one saves
//! everything. Their texts are the same for any number of rows, so each is prepared once.
//!
//! Lists travel as one array per column. sea-orm's arrays hold no NULLs: a column that may be NULL travels as a value that it
//! never has (the zero UUID, zero, the empty text), and becomes NULL in the statement.

use std::{collections::HashSet, sync::LazyLock};

use frontdesk_clock::Time;
use frontdesk_db::{Db, NOW_ON_POSTGRES as NOW, Tx, columns_as, is_in};
use frontdesk_idempotency::RequestBatch;
use frontdesk_outbox::Events;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey, Saved, row_key, unsaved};
use crate::{
    domain::{Conversation, RosterState},
    store::{
        NewRows,
        entity::{agent, bot, conversation, entry},
    },
};

pub(super) struct PostgresBatch;

#[async_trait::async_trait]
impl ConversationBatch for PostgresBatch {
    async fn begin(&self, db: &Db, locking: Locking) -> Result<Tx, DbErr> {
        match locking {
            Locking::Lock => db.begin_batch().await,
            Locking::Optimistic => Ok(db.begin_statement()),
        }
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
        let conversations: [Value; 2] = [accounts.into(), ids.into()];
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
            context.now = Time(row.try_get("", "now")?).plus(tx.clock_offset());
            context.requests.add(&row)?;
            let has = |prefix| row.try_get::<Option<Uuid>>(prefix, "id").map(|id| id.is_some());
            if has("")? {
                rows.add(&row)?;
            }
            if has(AGENT)? {
                context.add_agent(agent::Model::from_query_result(&row, AGENT)?.into());
            }
            if has(BOT)? {
                context.add_bot(bot::Model::from_query_result(&row, BOT)?.into());
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
        context: BatchContext,
    ) -> Result<Saved, DbErr> {
        let mut values = conversation_columns(changed);
        values.push(rows.changed.into_values().collect::<Vec<_>>().into());
        values.extend(entry_columns(rows.entries));
        values.extend(agent_columns(&context));
        values.extend(context.requests.into_values());
        values.extend(rows.events.into_values(tx));
        let save = Statement::from_sql_and_values(DbBackend::Postgres, SAVE.as_str(), values);
        let rows = tx.conn().query_all_raw(save).await?;
        let now = rows.first().map(|row| row.try_get("", "now").map(Time)).transpose()?;
        Ok(Saved { unsaved: unsaved(changed, &rows)?, now })
    }
}

fn unzip(keys: &[RowKey]) -> (Vec<Uuid>, Vec<Uuid>) {
    keys.iter().map(|(account, id)| (account.0, *id)).unzip()
}

/// Nothing waits for a lock, so the order of the rows does not matter.
const LOCK: &str = "SELECT account_id, id FROM conversations
    WHERE id = ANY ($2::uuid[]) AND account_id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED";

// Prefixes of the columns of agents and bots that LOAD returns.
const AGENT: &str = "agent_";
const BOT: &str = "in_charge_";

/// A row has a conversation with the bot in charge of it, a request and an agent: those with the same number in their lists. The
/// result names its columns: one of `*` breaks a prepared statement when a migration adds a column. Lateral subqueries, so that each
/// row is found by its key.
static LOAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {NOW} AS now, {}, {}, {}, {}
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::uuid[])
           AS wanted (account, conversation, request_account, actor, request, agent_account, agent)
         LEFT JOIN LATERAL (
           SELECT * FROM conversations WHERE id = wanted.conversation AND account_id = wanted.account LIMIT 1
         ) AS conversation ON true
         LEFT JOIN LATERAL ({}) AS request ON true
         LEFT JOIN LATERAL (
           SELECT * FROM agents WHERE account_id = wanted.agent_account AND id = wanted.agent LIMIT 1
         ) AS agent ON true
         LEFT JOIN LATERAL (
           SELECT * FROM bots WHERE account_id = conversation.account_id AND id = conversation.bot_id LIMIT 1
         ) AS bot ON conversation.bot_in_charge",
        columns_as::<conversation::Column>("conversation", ""),
        RequestBatch::columns_sql("request"),
        columns_as::<agent::Column>("agent", AGENT),
        columns_as::<bot::Column>("bot", BOT),
        RequestBatch::select_sql(["wanted.request_account", "wanted.actor", "wanted.request"]),
    )
});

/// Number of parameters that hold columns of conversations, with the version of the row that was loaded, of entries, and of agents.
const CONVERSATION_COLUMNS: usize = 19;
const ENTRY_COLUMNS: usize = 9;
const AGENT_COLUMNS: usize = 3;

/// Saves the conversations that are as they were loaded, if the agents are too: what was read without a lock may have changed since.
static SAVE: LazyLock<String> = LazyLock::new(|| {
    let entries = CONVERSATION_COLUMNS + 1;
    let agents = entries + ENTRY_COLUMNS;
    let requests = agents + AGENT_COLUMNS;
    let events = requests + RequestBatch::PARAMETERS;
    let [id, sequence, visible, account, kind, author, content, at, request] = std::array::from_fn(|n| entries + n);
    let [agent_account, agent, agent_version] = std::array::from_fn(|n| agents + n);
    let unchanged = "SELECT id FROM unchanged";
    format!(
        "WITH unchanged AS MATERIALIZED (
           SELECT new.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::bigint[],
             $8::boolean[], $9::boolean[], $10::bigint[], $11::bigint[], $12::integer[], $13::text[], $14::bigint[],
             $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[]) AS new (id, account_id, contact_id, status,
             assignee_kind, assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number,
             close_reason, closed_at, last_visitor_activity_at, last_activity_at, version, waiting_since, version_before)
           JOIN conversations AS old ON old.id = new.id AND old.account_id = new.account_id AND old.version = version_before
           WHERE NOT EXISTS (
             SELECT FROM unnest(${agent_account}::uuid[], ${agent}::uuid[], ${agent_version}::bigint[])
               AS author (account, agent, version)
             WHERE NOT EXISTS (SELECT FROM agents WHERE agents.account_id = author.account AND agents.id = author.agent
               AND agents.active AND agents.version = author.version))
           FOR UPDATE OF old SKIP LOCKED
         ), saved_conversations AS (
           UPDATE conversations AS old SET
             contact_id = NULLIF(new.contact_id, '{nil}'), status = new.status,
             assignee_kind = NULLIF(new.assignee_kind, ''), assignee_id = NULLIF(new.assignee_id, '{nil}'),
             epoch = new.epoch, bot_in_charge = new.bot_in_charge, had_agent = new.had_agent,
             last_sequence = new.last_sequence, last_visitor_sequence = new.last_visitor_sequence,
             close_number = new.close_number, close_reason = NULLIF(new.close_reason, ''),
             closed_at = NULLIF(new.closed_at, 0), last_visitor_activity_at = new.last_visitor_activity_at,
             last_activity_at = new.last_activity_at, version = new.version,
             waiting_since = NULLIF(new.waiting_since, 0)
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
         ) SELECT id, {NOW} AS now FROM unchanged",
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
        column(all, |one| one.waiting_since.map_or(0, |at| at.0)),
    ]
}

/// The agents that wrote, with the version by which each was found to be active.
fn agent_columns(context: &BatchContext) -> [Value; AGENT_COLUMNS] {
    let (mut accounts, mut ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for agent in context.agents() {
        if let Some(RosterState { active: true, version }) = agent.roster {
            accounts.push(agent.account.0);
            ids.push(agent.id);
            versions.push(version);
        }
    }
    [accounts.into(), ids.into(), versions.into()]
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
