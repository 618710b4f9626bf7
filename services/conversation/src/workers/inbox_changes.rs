//! Changes of the inboxes that are watched at this replica, read once for all their watches: those of which a notification
//! comes, at once, and those whose notification was lost, at intervals.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db};
use sea_orm::DbErr;
use tokio::{
    sync::{
        Notify,
        broadcast::{self, error::TryRecvError},
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::Conversation,
    queries::{CHANGED_ROWS, CURSOR_OVERLAP, Inbox},
    store::{conversations, inbox, queued_conversations},
};

/// Interval between two looks for changes whose notification was lost.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long notifications are collected before the rows are read.
const COLLECT_FOR: Duration = Duration::from_millis(20);
/// Maximum number of reads that wait for a watch, which reads for itself when there are more.
const MAX_WAITING: usize = 16;

/// The inboxes that are watched at this replica. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct WatchedInboxes {
    accounts: Arc<Mutex<HashMap<AccountId, Watched>>>,
    first: Arc<Notify>,
}

struct Watched {
    changes: broadcast::Sender<Arc<Inbox>>,
    read_until: Arc<AtomicI64>,
    watches: usize,
    /// Number of watches of each agent.
    agents: HashMap<Uuid, usize>,
}

/// A watch of an account's inbox. Dropping it ends it.
pub(crate) struct InboxWatch {
    /// Rows that changed.
    pub(crate) changes: broadcast::Receiver<Arc<Inbox>>,
    read_until: Arc<AtomicI64>,
    account: AccountId,
    agent: Option<Uuid>,
    inboxes: WatchedInboxes,
}

impl InboxWatch {
    /// The watch reads for itself what changed before this time.
    pub(crate) fn begins_at(&self, time: Time) {
        // Only the first watch of the account sets it.
        let _ = self.read_until.compare_exchange(0, time.0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The time up to which everything that changed was received. None: something waits to be received.
    pub(crate) fn received_until(&self) -> Option<Time> {
        // Read first: what changed before it was sent before it was set.
        let read_until = Time(self.read_until.load(Ordering::SeqCst));
        self.changes.is_empty().then_some(read_until)
    }
}

impl Drop for InboxWatch {
    fn drop(&mut self) {
        let mut accounts = self.inboxes.lock();
        let Some(watched) = accounts.get_mut(&self.account) else { return };
        watched.watches -= 1;
        if watched.watches == 0 {
            accounts.remove(&self.account);
            return;
        }
        if let Some(agent) = self.agent
            && let Some(watches) = watched.agents.get_mut(&agent)
        {
            *watches -= 1;
            if *watches == 0 {
                watched.agents.remove(&agent);
            }
        }
    }
}

impl WatchedInboxes {
    /// Watches the account's inbox from now on. `agent`: who watches, whose read states the rows have.
    pub(crate) fn watch(&self, account: AccountId, agent: Option<Uuid>) -> InboxWatch {
        let mut accounts = self.lock();
        let watched = accounts.entry(account).or_insert_with(|| Watched {
            changes: broadcast::Sender::new(MAX_WAITING),
            read_until: Arc::default(),
            watches: 0,
            agents: HashMap::new(),
        });
        watched.watches += 1;
        if let Some(agent) = agent {
            *watched.agents.entry(agent).or_default() += 1;
        }
        self.first.notify_one();
        InboxWatch {
            changes: watched.changes.subscribe(),
            read_until: watched.read_until.clone(),
            account,
            agent,
            inboxes: self.clone(),
        }
    }

    fn accounts(&self) -> Vec<AccountId> {
        self.lock().keys().copied().collect()
    }

    fn agents(&self, account: AccountId) -> Vec<Uuid> {
        self.lock().get(&account).map(|watched| watched.agents.keys().copied().collect()).unwrap_or_default()
    }

    /// The time up to which the watches of these accounts have received everything. None: no watch has begun.
    fn read_until(&self, accounts: &[AccountId]) -> Option<Time> {
        let watched = self.lock();
        let times = accounts.iter().filter_map(|account| watched.get(account));
        times.map(|watched| Time(watched.read_until.load(Ordering::SeqCst))).filter(|time| time.0 > 0).min()
    }

    fn send(&self, account: AccountId, rows: Inbox) {
        if let Some(watched) = self.lock().get(&account) {
            let _ = watched.changes.send(Arc::new(rows));
        }
    }

    /// All changes before this time were sent to the watches of these accounts.
    fn set_read_until<'a>(&self, accounts: impl Iterator<Item = &'a AccountId>, time: Time) {
        let watched = self.lock();
        for watched in accounts.filter_map(|account| watched.get(account)) {
            watched.read_until.store(time.0, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Watched>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the shutdown.
pub(super) async fn run(db: Db, notifier: ChangeNotifier, inboxes: WatchedInboxes, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if inboxes.accounts().is_empty() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = inboxes.first.notified() => {}
            }
        }
        let reader = Reader { db: &db, inboxes: &inboxes, versions: HashMap::new(), queue_changes: HashMap::new() };
        reader.run_while_watched(&notifier, &shutdown).await;
    }
}

struct Reader<'a> {
    db: &'a Db,
    inboxes: &'a WatchedInboxes,
    /// The versions that were sent of the conversations that changed since shortly before the last look for lost notifications.
    versions: HashMap<Uuid, i64>,
    /// The same of changes in queues, which change no version: their times.
    queue_changes: HashMap<Uuid, Time>,
}

impl Reader<'_> {
    async fn run_while_watched(mut self, notifier: &ChangeNotifier, shutdown: &CancellationToken) {
        let mut changes = notifier.subscribe_all();
        // At once: a watch may have begun before the subscription.
        let mut next_look = Instant::now();
        loop {
            let mut changed = HashSet::new();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next_look) => {}
                change = changes.recv() => {
                    tokio::time::sleep(COLLECT_FOR).await;
                    let (ids, is_complete) = take_waiting(change.ok().flatten(), &mut changes);
                    changed = ids;
                    if !is_complete {
                        next_look = Instant::now();
                    }
                }
            }
            let accounts = self.inboxes.accounts();
            if accounts.is_empty() {
                return;
            }
            let mut result = self.send_changed(&accounts, changed).await;
            if result.is_ok() && Instant::now() >= next_look {
                next_look = Instant::now() + INTERVAL;
                result = self.send_missed(&accounts).await;
            }
            if let Err(error) = result {
                tracing::warn!(%error, "changes of watched inboxes were not read; retrying");
                next_look = Instant::now() + Duration::from_secs(1);
            }
        }
    }

    /// Sends the conversations of which notifications came. Those that fail are found by the next look.
    async fn send_changed(&mut self, accounts: &[AccountId], ids: HashSet<Uuid>) -> Result<(), DbErr> {
        let ids: Vec<_> = ids.into_iter().collect();
        let mut failed = HashMap::new();
        for ids in ids.chunks(CHANGED_ROWS as usize) {
            let changed = conversations::list_of_accounts(self.db.read(), accounts, ids.iter().copied()).await?;
            failed.extend(self.send(changed).await);
        }
        failed.into_values().next().map_or(Ok(()), Err)
    }

    /// Sends the conversations that changed, and of which no notification came.
    async fn send_missed(&mut self, accounts: &[AccountId]) -> Result<(), DbErr> {
        let now = self.db.now().await?;
        let since = self.inboxes.read_until(accounts).unwrap_or(now).minus(CURSOR_OVERLAP);
        let (mut after, mut versions, mut failed) = ((since, Uuid::nil()), HashMap::new(), HashMap::new());
        loop {
            let found = inbox::list_active_after(self.db.read(), accounts, after, CHANGED_ROWS).await?;
            let last = found.last().filter(|_| found.len() as u64 == CHANGED_ROWS);
            let last = last.map(|last| (last.last_activity_at, last.id));
            let found_versions: Vec<_> = found.iter().map(|one| (one.account, one.id, one.version)).collect();
            let missed = found.into_iter().filter(|one| self.versions.get(&one.id) != Some(&one.version));
            failed.extend(self.send(missed.collect()).await);
            let sent = found_versions.into_iter().filter(|(account, ..)| !failed.contains_key(account));
            versions.extend(sent.map(|(_, id, version)| (id, version)));
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        failed.extend(self.send_missed_queue_changes(accounts, since).await?);
        self.inboxes.set_read_until(accounts.iter().filter(|account| !failed.contains_key(account)), now);
        self.versions = versions;
        failed.into_values().next().map_or(Ok(()), Err)
    }

    /// Sends the conversations that changed in their queues, and of which no notification came. Returns the accounts that could not be read.
    async fn send_missed_queue_changes(
        &mut self,
        accounts: &[AccountId],
        since: Time,
    ) -> Result<HashMap<AccountId, DbErr>, DbErr> {
        let (mut after, mut times, mut failed) = ((since, Uuid::nil()), HashMap::new(), HashMap::new());
        loop {
            let found = queued_conversations::list_changed_after(self.db.read(), accounts, after, CHANGED_ROWS).await?;
            let last = found.last().copied().filter(|_| found.len() as u64 == CHANGED_ROWS);
            let missed = found.iter().filter(|(time, id)| self.queue_changes.get(id) != Some(time));
            let missed: Vec<_> = missed.map(|(_, id)| *id).collect();
            if !missed.is_empty() {
                let changed = conversations::list_of_accounts(self.db.read(), accounts, missed).await?;
                failed.extend(self.send(changed).await);
            }
            times.extend(found.into_iter().map(|(time, id)| (id, time)));
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        if failed.is_empty() {
            self.queue_changes = times;
        }
        Ok(failed)
    }

    /// Sends them to the watches of their accounts. Returns the accounts that could not be read, which do not hold up the others.
    async fn send(&mut self, changed: Vec<Conversation>) -> HashMap<AccountId, DbErr> {
        let mut by_account: HashMap<AccountId, Vec<Conversation>> = HashMap::new();
        for one in changed {
            by_account.entry(one.account).or_default().push(one);
        }
        let mut failed = HashMap::new();
        for (account, changed) in by_account {
            let agents = self.inboxes.agents(account);
            match Inbox::read_changed(self.db.read(), account, &agents, changed).await {
                Ok(rows) => {
                    self.versions.extend(rows.conversations.iter().map(|one| (one.id, one.version)));
                    self.queue_changes.extend(rows.queue_changes.iter().map(|(id, time)| (*id, *time)));
                    self.inboxes.send(account, rows);
                }
                Err(error) => drop(failed.insert(account, error)),
            }
        }
        failed
    }
}

/// The ids of the changes that wait, `first` included, and whether none may have been missed.
fn take_waiting(first: Option<Uuid>, changes: &mut broadcast::Receiver<Option<Uuid>>) -> (HashSet<Uuid>, bool) {
    let (mut ids, mut next) = (HashSet::new(), first);
    while let Some(id) = next {
        ids.insert(id);
        next = match changes.try_recv() {
            Ok(change) => change,
            Err(TryRecvError::Lagged(_)) => None,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return (ids, true),
        };
    }
    (ids, false)
}
