//! Watchers: they follow a thread, move between replicas, resume by the last number they saw, and write down what came.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use frontdesk_proto::conversation::v1::{
    WatchChatRequest, WatchThreadRequest, thread_service_client::ThreadServiceClient,
    visitor_service_client::VisitorServiceClient,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tonic::Status;

use super::{entry_digest, line_digest};
use crate::{
    cluster::Service,
    driver::{Driver, Somebody, read},
    history::{Kind, Operation, Tells},
};

/// Whose eyes a watcher has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The whole thread, as an agent.
    Thread,
    /// What the visitor sees.
    Chat,
}

/// One watcher.
pub struct Watcher {
    driver: Driver,
    who: Somebody,
    conversation: String,
    watched: Watched,
    /// A watcher stays at a replica for about so long.
    moves_after: Duration,
    random: StdRng,
    last: Arc<AtomicU64>,
    delivered: Arc<AtomicU64>,
}

/// A number, and what was written down of it.
type Seen = (i64, String);

impl Watcher {
    /// Follows from the beginning until `ends` says up to where: a number, once it is known.
    async fn run(mut self, operation: Operation, mut ends: watch::Receiver<Option<u64>>) {
        let mut attempt = 0;
        let mut replica = self.random.random_range(0..2);
        loop {
            attempt += 1;
            replica += 1;
            let after = self.last.load(Ordering::Relaxed);
            let given = json!({ "after": after });
            self.driver.recorder.write(&operation, attempt, Kind::Invoke, Tells { given, ..Tells::default() });
            let stay = self.moves_after.mul_f64(self.random.random_range(0.5..1.5));
            let ended = {
                let following = self.follow(&operation, attempt, replica, after);
                tokio::select! {
                    ended = following => ended,
                    () = tokio::time::sleep(stay) => Ok(()),
                    () = reached(&mut ends, &self.last) => {
                        self.driver.recorder.write(&operation, attempt, Kind::Ok, Tells::default());
                        return;
                    }
                }
            };
            if let Err(status) = ended {
                let (_, tells) = read(&status);
                self.driver.recorder.write(&operation, attempt, Kind::Unknown, tells);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn follow(&self, operation: &Operation, attempt: u32, replica: usize, after: u64) -> Result<(), Status> {
        let to = self.driver.at(&self.who, Service::Conversation, replica, Duration::ZERO);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let see = |(number, digest): Seen| {
            let answer = json!({ "s": number, "d": digest });
            self.driver.recorder.write(operation, attempt, Kind::Seen, Tells { answer, ..Tells::default() });
            self.last.store(u64::try_from(number).unwrap_or(0), Ordering::Relaxed);
            self.delivered.fetch_add(1, Ordering::Relaxed);
        };
        match self.watched {
            Watched::Thread => {
                let request = WatchThreadRequest { conversation_id: self.conversation.clone(), after_sequence: after };
                let mut stream = ThreadServiceClient::new(to).watch_thread(request).await?.into_inner();
                while let Some(response) = stream.message().await? {
                    let entry = response.entry.unwrap_or_default();
                    see((entry.sequence, entry_digest(&entry)));
                }
            }
            Watched::Chat => {
                let request = WatchChatRequest { chat_id: self.conversation.clone(), after_visitor_sequence: after };
                let mut stream = VisitorServiceClient::new(to).watch_chat(request).await?.into_inner();
                while let Some(response) = stream.message().await? {
                    let line = response.entry.unwrap_or_default();
                    see((line.visitor_sequence, line_digest(&line)));
                }
            }
        }
        Ok(())
    }
}

/// Waits until the last number is known and was seen.
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
    watched: Watched,
    ends: watch::Sender<Option<u64>>,
    task: JoinHandle<()>,
}

/// All watchers of a run.
pub struct Watchers {
    driver: Driver,
    at_most: usize,
    moves_after: Duration,
    seed: u64,
    running: Mutex<Vec<Running>>,
    delivered: Arc<AtomicU64>,
}

impl Watchers {
    /// So many at most, each at a replica for about so long.
    pub fn new(driver: &Driver, at_most: usize, moves_after: Duration, seed: u64) -> Self {
        let delivered = Arc::default();
        Self { driver: driver.clone(), at_most, moves_after, seed, running: Mutex::default(), delivered }
    }

    /// Follows a conversation, with both kinds of eyes, while there is room.
    pub fn maybe_follow(&self, conversation: &str, visitor: &Somebody, agent: &Somebody) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).len();
        if running + 2 <= self.at_most {
            self.follow(conversation, visitor, Watched::Chat);
            self.follow(conversation, agent, Watched::Thread);
        }
    }

    /// Follows a conversation.
    pub fn follow(&self, conversation: &str, who: &Somebody, watched: Watched) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (ends, ending) = watch::channel(None);
        let watcher = Watcher {
            driver: self.driver.clone(),
            who: who.clone(),
            conversation: conversation.to_owned(),
            watched,
            moves_after: self.moves_after,
            random: StdRng::seed_from_u64(self.seed.wrapping_add(running.len() as u64)),
            last: Arc::default(),
            delivered: self.delivered.clone(),
        };
        let call = if watched == Watched::Thread { "WatchThread" } else { "WatchChat" };
        let operation = self.driver.operation(who, call, conversation, "");
        let last = watcher.last.clone();
        let task = tokio::spawn(watcher.run(operation.clone(), ending));
        running.push(Running { operation, last, conversation: conversation.to_owned(), watched, ends, task });
    }

    /// How many entries were brought to all of them.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Lets each come to the end that `last` gives for its conversation (all, seen by the visitor), for so long at most.
    /// Gives how many did not.
    pub async fn finish(&self, last: impl Fn(&str) -> (u64, u64), patience: Duration) -> usize {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let until = tokio::time::Instant::now() + patience;
        let mut behind = 0;
        for one in &running {
            let (all, seen) = last(&one.conversation);
            one.ends.send_replace(Some(if one.watched == Watched::Thread { all } else { seen }));
        }
        for mut one in running {
            if tokio::time::timeout_at(until, &mut one.task).await.is_err() {
                one.task.abort();
                behind += 1;
                // The checker sees where it stood.
                let given = json!({ "after": one.last.load(Ordering::Relaxed) });
                self.driver.recorder.write(&one.operation, u32::MAX, Kind::Ok, Tells { given, ..Tells::default() });
            }
        }
        behind
    }
}
