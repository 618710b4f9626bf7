//! Watchers: they watch a thread, move between replicas, resume after the last sequence that they received, and record what
//! they receive.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use frontdesk_proto::conversation::v1::{
    WatchChatRequest, WatchThreadRequest, thread_service_client::ThreadServiceClient,
    visitor_service_client::VisitorServiceClient, watch_chat_response, watch_thread_response,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tonic::Status;

use super::{chat_entry_digest, entry_digest};
use crate::{
    cluster::Service,
    driver::{Caller, Driver, classify},
    history::{Details, Kind, Operation},
};

/// What a watcher watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// The whole thread, as an agent.
    Thread,
    /// The chat, as the visitor.
    Chat,
}

/// One watcher.
struct Watcher {
    driver: Driver,
    caller: Caller,
    conversation: String,
    kind: WatchKind,
    /// Average time at one replica.
    moves_after: Duration,
    random: StdRng,
    last: Arc<AtomicU64>,
    delivered: Arc<AtomicU64>,
}

/// A sequence, and the digest of its entry.
type Received = (i32, String);

impl Watcher {
    /// Watches from the beginning until the last sequence, which `ends` holds once it is known.
    async fn run(mut self, operation: Operation, mut ends: watch::Receiver<Option<u64>>) {
        let mut attempt = 0;
        let mut replica = self.random.random_range(0..2);
        loop {
            attempt += 1;
            replica += 1;
            let after = self.last.load(Ordering::Relaxed);
            let arguments = json!({ "after": after });
            self.driver.recorder.write(&operation, attempt, Kind::Invoke, Details { arguments, ..Details::default() });
            let stay = self.moves_after.mul_f64(self.random.random_range(0.5..1.5));
            let ended = {
                let watching = self.watch(&operation, attempt, replica, after);
                tokio::select! {
                    ended = watching => ended,
                    () = tokio::time::sleep(stay) => Ok(()),
                    () = reached(&mut ends, &self.last) => {
                        self.driver.recorder.write(&operation, attempt, Kind::Ok, Details::default());
                        return;
                    }
                }
            };
            if let Err(status) = ended {
                let (_, details) = classify(&status);
                self.driver.recorder.write(&operation, attempt, Kind::Unknown, details);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn watch(&self, operation: &Operation, attempt: u32, replica: usize, after: u64) -> Result<(), Status> {
        let channel = self.driver.at(&self.caller, Service::Conversation, replica, Duration::ZERO);
        let after = i32::try_from(after).unwrap_or(i32::MAX);
        let receive = |(number, digest): Received| {
            let response = json!({ "s": number, "d": digest });
            self.driver.recorder.write(operation, attempt, Kind::Received, Details { response, ..Details::default() });
            self.last.store(u64::try_from(number).unwrap_or(0), Ordering::Relaxed);
            self.delivered.fetch_add(1, Ordering::Relaxed);
        };
        match self.kind {
            WatchKind::Thread => {
                let request = WatchThreadRequest { conversation_id: self.conversation.clone(), after_sequence: after };
                let mut stream = ThreadServiceClient::new(channel).watch_thread(request).await?.into_inner();
                while let Some(response) = stream.message().await? {
                    if let Some(watch_thread_response::Update::Entry(entry)) = response.update {
                        receive((entry.sequence, entry_digest(&entry)));
                    }
                }
            }
            WatchKind::Chat => {
                let request = WatchChatRequest { chat_id: self.conversation.clone(), after_visitor_sequence: after };
                let mut stream = VisitorServiceClient::new(channel).watch_chat(request).await?.into_inner();
                while let Some(response) = stream.message().await? {
                    if let Some(watch_chat_response::Update::Entry(entry)) = response.update {
                        receive((entry.visitor_sequence, chat_entry_digest(&entry)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits until the last sequence is known and was received.
async fn reached(ends: &mut watch::Receiver<Option<u64>>, last: &AtomicU64) {
    loop {
        let end = *ends.borrow_and_update();
        match end {
            Some(end) if last.load(Ordering::Relaxed) >= end => return,
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            None => {
                let _ = ends.changed().await;
            }
        }
    }
}

struct Running {
    operation: Operation,
    last: Arc<AtomicU64>,
    conversation: String,
    kind: WatchKind,
    ends: watch::Sender<Option<u64>>,
    task: JoinHandle<()>,
}

/// All watchers of a run.
pub struct Watchers {
    driver: Driver,
    max: usize,
    moves_after: Duration,
    seed: u64,
    running: Mutex<Vec<Running>>,
    delivered: Arc<AtomicU64>,
}

impl Watchers {
    /// At most `max` watchers, each at one replica for about `moves_after`.
    pub fn new(driver: &Driver, max: usize, moves_after: Duration, seed: u64) -> Self {
        let delivered = Arc::default();
        Self { driver: driver.clone(), max, moves_after, seed, running: Mutex::default(), delivered }
    }

    /// Watches a conversation as its visitor and as an agent, unless that would exceed the maximum number of watchers.
    pub fn watch_if_below_limit(&self, conversation: &str, visitor: &Caller, agent: &Caller) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).len();
        if running + 2 <= self.max {
            self.watch(conversation, visitor, WatchKind::Chat);
            self.watch(conversation, agent, WatchKind::Thread);
        }
    }

    /// Watches a conversation.
    pub fn watch(&self, conversation: &str, caller: &Caller, kind: WatchKind) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (ends, ending) = watch::channel(None);
        let watcher = Watcher {
            driver: self.driver.clone(),
            caller: caller.clone(),
            conversation: conversation.to_owned(),
            kind,
            moves_after: self.moves_after,
            random: StdRng::seed_from_u64(self.seed.wrapping_add(running.len() as u64)),
            last: Arc::default(),
            delivered: self.delivered.clone(),
        };
        let call = if kind == WatchKind::Thread { "WatchThread" } else { "WatchChat" };
        let operation = self.driver.operation(caller, call, conversation, "");
        let last = watcher.last.clone();
        let task = tokio::spawn(watcher.run(operation.clone(), ending));
        running.push(Running { operation, last, conversation: conversation.to_owned(), kind, ends, task });
    }

    /// Number of entries that all watchers have received.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Waits, for at most `timeout`, until each watcher has received the last sequence of its conversation, which `last` gives
    /// (of the thread, of the chat). Returns the number of watchers that have not.
    pub async fn finish(&self, last: impl Fn(&str) -> (u64, u64), timeout: Duration) -> usize {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let until = tokio::time::Instant::now() + timeout;
        let mut behind = 0;
        for one in &running {
            let (thread, chat) = last(&one.conversation);
            one.ends.send_replace(Some(if one.kind == WatchKind::Thread { thread } else { chat }));
        }
        for mut one in running {
            if tokio::time::timeout_at(until, &mut one.task).await.is_err() {
                one.task.abort();
                behind += 1;
                // The checker compares where the watcher stopped.
                let arguments = json!({ "after": one.last.load(Ordering::Relaxed) });
                self.driver.recorder.write(
                    &one.operation,
                    u32::MAX,
                    Kind::Ok,
                    Details { arguments, ..Details::default() },
                );
            }
        }
        behind
    }
}
