//! A batch of conversations in one transaction: locked together, changed one after the other, saved together. One trait with
//! two implementations, since PostgreSQL takes each step in one large statement and SQLite has no locks.
//!
//! The message writer (`workers/message_writer.rs`) and the command that closes idle conversations open the transactions.

mod postgres;
mod sqlite;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db, Tx};
use frontdesk_idempotency::{Key, RequestBatch};
use sea_orm::{DbErr, FromQueryResult, QueryResult};
use uuid::Uuid;

use super::{
    NewRows, closing_snapshots, display_names::DisplayNames, entity::conversation, new_rows::notify_on_commit,
};
use crate::domain::{Agent, Bot, Conversation, Entry, Owner, OwnerKind};

/// Account and id of a row.
pub(crate) type RowKey = (AccountId, Uuid);

/// The conversations of a batch, by account and id.
pub(crate) type BatchConversations = HashMap<RowKey, Conversation>;

/// The rows of a batch. Those that are in none of the fields do not exist.
#[derive(Debug, Default)]
pub(crate) struct BatchRows {
    pub(crate) conversations: BatchConversations,
    /// Locked by another transaction, if the batch is to lock its rows. It does not wait: its other members would wait too.
    pub(crate) busy: HashSet<RowKey>,
    /// Rows with a value that this release does not know, and the error about it.
    pub(crate) unreadable: HashMap<RowKey, String>,
}

impl BatchRows {
    fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        let key = row_key(row)?;
        match conversation::Model::from_query_result(row, "") {
            Ok(row) => drop(self.conversations.insert(key, row.into())),
            Err(error) => drop(self.unreadable.insert(key, error.to_string())),
        }
        Ok(())
    }
}

fn row_key(row: &QueryResult) -> Result<RowKey, DbErr> {
    Ok((row.try_get("", "account_id")?, row.try_get("", "id")?))
}

/// Whether a batch locks the conversations that it loads. The second attempt does: without it, a message could wait for ever while
/// others change its conversation again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locking {
    /// They are locked until the transaction ends.
    Lock,
    /// They are not. Saving skips those that another transaction has changed or locked since.
    Optimistic,
}

/// The steps of the transaction of a batch, in their order.
#[async_trait::async_trait]
pub(crate) trait ConversationBatch: Send + Sync {
    /// Begins the transaction of a batch.
    async fn begin(&self, db: &Db, locking: Locking) -> Result<Tx, DbErr>;

    /// Loads the conversations that exist, and what the decisions need besides them, all as of one moment.
    async fn load(
        &self,
        tx: &Tx,
        wanted: &BatchRequest<'_>,
        locking: Locking,
    ) -> Result<(BatchRows, BatchContext), DbErr>;

    /// Saves the rows of the conversations that changed, what was added to them, and the request ids. Nothing is saved of
    /// conversations that another transaction has changed or locked since they were loaded, and nothing at all when one of the
    /// agents has. Fails when another transaction has used one of the request ids since ([`frontdesk_idempotency::is_id_taken`]).
    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        context: BatchContext,
    ) -> Result<Saved, DbErr>;
}

/// What [`ConversationBatch::save_rows`] saved.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The conversations of which nothing was saved.
    pub(crate) unsaved: HashSet<RowKey>,
    /// Time by the database's clock, without the offset of a moved clock. None: it was not read.
    pub(crate) now: Option<Time>,
}

/// The conversations that are not among the rows that were saved.
fn unsaved(changed: &[&Conversation], saved: &[QueryResult]) -> Result<HashSet<RowKey>, DbErr> {
    if saved.len() == changed.len() {
        return Ok(HashSet::new());
    }
    let saved = saved.iter().map(|row| row.try_get("", "id")).collect::<Result<HashSet<Uuid>, _>>()?;
    Ok(changed.iter().filter(|one| !saved.contains(&one.id)).map(|one| (one.account, one.id)).collect())
}

/// The implementation for this database.
pub(crate) fn conversation_batch(db: &Db) -> Arc<dyn ConversationBatch> {
    if db.is_sqlite() { Arc::new(sqlite::SqliteBatch) } else { Arc::new(postgres::PostgresBatch) }
}

/// What [`ConversationBatch::load`] looks up.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchRequest<'a> {
    /// The conversations, each once.
    pub(crate) conversations: Vec<RowKey>,
    pub(crate) keys: Vec<&'a Key>,
    /// The agents who write, each once.
    pub(crate) agents: Vec<RowKey>,
}

/// What the decisions of a batch need besides the conversations.
#[derive(Debug)]
pub(crate) struct BatchContext {
    /// Time by the database's clock.
    pub(crate) now: Time,
    /// The request ids that were used before, and those that the batch uses.
    pub(crate) requests: RequestBatch,
    agents: HashMap<RowKey, Agent>,
    bots: HashMap<RowKey, Bot>,
}

impl BatchContext {
    pub(crate) fn new(now: Time, requests: RequestBatch) -> Self {
        Self { now, requests, agents: HashMap::new(), bots: HashMap::new() }
    }

    pub(crate) fn add_agent(&mut self, agent: Agent) {
        self.agents.insert((agent.account, agent.id), agent);
    }

    fn add_bot(&mut self, bot: Bot) {
        self.bots.insert((bot.account, bot.id), bot);
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    pub(crate) fn agent(&self, key: RowKey) -> Option<&Agent> {
        self.agents.get(&key)
    }

    /// The name of the entry's author, if it is an agent or a bot.
    pub(crate) fn author_name(&self, account: AccountId, entry: &Entry) -> DisplayNames {
        let Some(owner) = entry.author.as_owner() else { return DisplayNames::default() };
        let Owner { kind, id } = owner;
        let name = match kind {
            OwnerKind::Agent => self.agents.get(&(account, id)).map(|agent| &agent.name),
            OwnerKind::Bot => self.bots.get(&(account, id)).map(|bot| &bot.name),
        };
        name.map(|name| DisplayNames::of_one(owner, name.clone())).unwrap_or_default()
    }
}

/// Saves what was taken from the conversations, and their rows; see [`ConversationBatch::save_rows`].
pub(crate) async fn save(
    store: &dyn ConversationBatch,
    tx: &mut Tx,
    notifier: &ChangeNotifier,
    conversations: &BatchConversations,
    mut rows: NewRows,
    context: BatchContext,
) -> Result<Saved, DbErr> {
    let changed: Vec<&Conversation> = rows.changed.keys().filter_map(|key| conversations.get(key)).collect();
    if changed.is_empty() {
        return Ok(Saved::default());
    }
    notify_on_commit(tx, notifier, changed.iter().map(|one| one.id).collect());
    closing_snapshots::insert(tx, std::mem::take(&mut rows.snapshots)).await?;
    tx.wake_outbox_on_commit();
    store.save_rows(tx, &changed, rows, context).await
}
