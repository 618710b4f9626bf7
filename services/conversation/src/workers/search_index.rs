//! Stores the words of new entries, so that searches find them (rule C9), beside the transactions that write the entries: those
//! have as many statements as before.
//!
//! What is not indexed yet is known from the rows: a conversation's last sequence is beyond its mark. A notification names the
//! conversations that changed, at once; rounds through all conversations, the latest started first, find those whose notification was
//! lost, and those of before this worker existed. So nothing is lost with a process, and each replica can do it.

use std::{collections::HashSet, future::Future, pin::pin, time::Duration};

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::Db;
use sea_orm::DbErr;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{contacts, conversations, search_words};

/// How long changes are collected before they are indexed together.
const COLLECT_FOR: Duration = Duration::from_millis(100);
/// Interval between two rounds.
const ROUND_INTERVAL: Duration = Duration::from_secs(600);
/// Number of conversations that one step of a round looks at.
const ROUND_STEP: u64 = 500;
/// Maximum number of conversations of one transaction.
const MAX_CONVERSATIONS: usize = 50;
/// Maximum number of contacts that are indexed before changes are looked for again.
const MAX_CONTACTS: u64 = 50;
/// Shortest pause while there is more to do.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// How many times as long as it worked the worker then pauses. Messages wait for its transactions on SQLite, and share the database's
/// processors with them on PostgreSQL.
const PAUSE_FACTOR: u32 = 4;
/// Delay before the next attempt after an error.
const ERROR_DELAY: Duration = Duration::from_secs(1);

/// Indexes until the shutdown.
pub(super) async fn run(db: Db, notifier: ChangeNotifier, shutdown: CancellationToken) {
    let mut changes = notifier.subscribe_all();
    let mut indexer = Indexer { db: &db, changed: HashSet::new(), round: Some(Uuid::max()), looks_for_contacts: true };
    let mut waiting = Changes::default();
    let mut next_round = Instant::now() + ROUND_INTERVAL;
    let mut pause = COLLECT_FOR;
    loop {
        if !indexer.has_work() && waiting.is_empty() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next_round) => {}
                change = changes.recv() => waiting.take(change),
            }
        }
        let paused = async {
            tokio::select! {
                () = shutdown.cancelled() => false,
                () = tokio::time::sleep(pause) => true,
            }
        };
        if !collecting(&mut changes, &mut waiting, paused).await {
            return;
        }
        indexer.changed.extend(waiting.ids.drain());
        if std::mem::take(&mut waiting.missed) || Instant::now() >= next_round {
            (indexer.round, indexer.looks_for_contacts) = (Some(Uuid::max()), true);
            next_round = Instant::now() + ROUND_INTERVAL;
        }
        let began = Instant::now();
        let worked = collecting(&mut changes, &mut waiting, indexer.work()).await;
        pause = began.elapsed() * PAUSE_FACTOR;
        match worked {
            Ok(()) => pause = pause.max(if indexer.has_work() { MIN_PAUSE } else { COLLECT_FOR }),
            Err(error) => {
                tracing::warn!(%error, "entries were not indexed for searches; retrying");
                pause = pause.max(ERROR_DELAY);
            }
        }
    }
}

/// Conversations that changed while something else was done.
#[derive(Default)]
struct Changes {
    ids: HashSet<Uuid>,
    /// Whether notifications were lost.
    missed: bool,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.ids.is_empty() && !self.missed
    }

    fn take(&mut self, change: Result<Option<Uuid>, RecvError>) {
        match change {
            Ok(Some(id)) => {
                self.ids.insert(id);
            }
            Err(RecvError::Lagged(_)) => self.missed = true,
            // After a lost connection to the other replicas: they index their own changes. The notifier is never gone here.
            Ok(None) | Err(RecvError::Closed) => {}
        }
    }
}

/// Does the work, and collects the changes of meanwhile.
async fn collecting<T>(
    changes: &mut broadcast::Receiver<Option<Uuid>>,
    waiting: &mut Changes,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            change = changes.recv() => waiting.take(change),
        }
    }
}

struct Indexer<'a> {
    db: &'a Db,
    /// Conversations that changed and are to be indexed.
    changed: HashSet<Uuid>,
    /// The round goes on with the conversations before this id. None: it is done.
    round: Option<Uuid>,
    /// Whether there may be contacts that an older binary wrote.
    looks_for_contacts: bool,
}

impl Indexer<'_> {
    fn has_work(&self) -> bool {
        !self.changed.is_empty() || self.round.is_some() || self.looks_for_contacts
    }

    /// Indexes some of what changed, and goes a step on in the round.
    async fn work(&mut self) -> Result<(), DbErr> {
        let some: Vec<_> = self.changed.iter().copied().take(MAX_CONVERSATIONS).collect();
        if self.index(&some).await? {
            self.changed.retain(|id| !some.contains(id));
        }
        if let Some(before) = self.round {
            self.go_round(before).await?;
        }
        if self.looks_for_contacts {
            self.index_contacts().await?;
        }
        Ok(())
    }

    /// Indexes some of the contacts that an older binary wrote, each in a transaction of its own: it is locked for a moment only.
    async fn index_contacts(&mut self) -> Result<(), DbErr> {
        let some = contacts::list_without_words(self.db.read(), MAX_CONTACTS).await?;
        self.looks_for_contacts = !some.is_empty();
        for (account, id) in some {
            let tx = self.db.begin().await?;
            contacts::index(&tx, account, id).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// One step: the round stays where it is until all conversations of the step are indexed.
    async fn go_round(&mut self, before: Uuid) -> Result<(), DbErr> {
        let ids = conversations::list_ids_before(self.db.read(), before, ROUND_STEP).await?;
        if self.index(&ids).await? {
            self.round = ids.last().copied();
        }
        Ok(())
    }

    /// Indexes the first entries of these conversations that are not indexed. True: no conversation has any.
    async fn index(&self, ids: &[Uuid]) -> Result<bool, DbErr> {
        // Most are indexed: a read says so without a transaction that writes.
        if search_words::list_unindexed(self.db.read(), ids).await?.is_empty() {
            return Ok(true);
        }
        let tx = self.db.begin().await?;
        if !search_words::try_lock(&tx).await? {
            return Ok(false);
        }
        let unindexed = search_words::list_unindexed(tx.conn(), ids).await?;
        let some = unindexed.get(..MAX_CONVERSATIONS).unwrap_or(&unindexed);
        let is_done = search_words::index_entries(&tx, some).await? && some.len() == unindexed.len();
        tx.commit().await?;
        Ok(is_done)
    }
}

#[cfg(test)]
#[path = "search_index_tests.rs"]
mod tests;
