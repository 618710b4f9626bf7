//! The writer: what waits is written as one group, in one transaction.
//!
//! Posting a message is what the service does all day, and most of its price is round trips and the commit. So requests queue
//! here; a writer takes whatever queued while it wrote the group before, and a lone request waits for nothing. Each member is
//! judged by itself on its conversation as the members before it left it: one that is refused, repeated or unknown touches no
//! other, and when a group cannot be written as a whole, its members are written one by one.
//!
//! A caller is answered after the commit. Whoever is told that the database was lost does not know whether it took effect, and
//! repeats with the same request id.

mod group;
mod look;
mod seen;
#[cfg(test)]
mod tests;

use std::{panic::AssertUnwindSafe, sync::Arc};

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, Db};
use frontdesk_idempotency::Key;
use futures::FutureExt;
use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{entity::agents, names::Names};
use crate::domain::{Conversation, Entry, Refused};
use group::Failed;

/// So many requests are one group at most.
const GROUP: usize = 128;
/// So many requests queue at most; the next ones wait for a place.
const QUEUE: usize = 1024;
/// While one group is being written the next one is put together. SQLite has one writer anyway.
const WRITERS: usize = 2;

/// What shall be written in a conversation.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub account: AccountId,
    pub conversation: Uuid,
    /// Only if the conversation is this visitor's.
    pub of_visitor: Option<String>,
    /// The agent who acts: the decision is told what is known of them.
    pub agent: Option<Uuid>,
    pub key: Key,
    pub decide: Decide,
}

/// The domain's decision on the locked conversation; when it says no, it changed nothing. It is asked again when a group is
/// written again.
pub(crate) type Decide = Arc<dyn Fn(&mut Conversation, &Known<'_>) -> Result<Entry, No> + Send + Sync>;

/// What a decision knows beside the conversation.
pub(crate) struct Known<'a> {
    /// Now, by the database's clock.
    pub now: frontdesk_clock::Time,
    /// The agent who acts, if this service has heard of them.
    pub agent: Option<&'a agents::Model>,
}

/// A decision that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    Refused(Refused),
    AgentUnknown,
    AgentNotActive,
}

/// What was written.
#[derive(Debug)]
pub(crate) enum Written {
    /// The entry, and its author's name.
    Now(Box<Entry>, Names),
    /// A repeat: the sequence of the entry that the first try made.
    Before(i64),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritten {
    #[error("no such conversation")]
    NotFound,
    #[error("request id reused")]
    Reused,
    /// With the conversation as it was then.
    #[error("no: {0:?}")]
    No(No, Box<Conversation>),
    /// Or perhaps it was.
    #[error("the connection to the database was lost")]
    Lost,
    #[error(transparent)]
    Db(#[from] DbErr),
}

type Answer = Result<Written, Unwritten>;

struct Waiting {
    wanted: Wanted,
    /// The trace of the call, for its events.
    traceparent: String,
    answer: oneshot::Sender<Answer>,
}

/// What writing needs.
#[derive(Clone)]
struct Store {
    db: Db,
    clock: Clock,
    hints: ChangeNotifier,
}

/// Writes in groups. Clones share the queues; they end with the last one.
#[derive(Clone)]
pub(crate) struct Writer(Arc<[mpsc::Sender<Waiting>]>);

impl Writer {
    /// Starts its tasks on the current runtime, each with a queue of its own.
    pub(crate) fn start(db: &Db, clock: &Clock, hints: &ChangeNotifier) -> Self {
        let store = Store { db: db.clone(), clock: clock.clone(), hints: hints.clone() };
        let writers = if db.is_sqlite() { 1 } else { WRITERS };
        let queues = (0..writers).map(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(run(store.clone(), receiver));
            sender
        });
        Self(queues.collect())
    }

    /// Writes it, with whatever else waits.
    pub(crate) async fn write(&self, wanted: Wanted) -> Answer {
        // A conversation is always the same writer's: two groups of one process never wait for each other's locks.
        let queue = &self.0[wanted.conversation.as_u128() as usize % self.0.len()];
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { wanted, traceparent: frontdesk_telemetry::traceparent(), answer };
        queue.send(waiting).await.map_err(|_| Unwritten::Lost)?;
        answered.await.unwrap_or(Err(Unwritten::Lost))
    }
}

async fn run(store: Store, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        store.write(std::mem::take(&mut group)).await;
    }
}

impl Store {
    /// Writes the group, or else its members one by one, and answers each.
    async fn write(&self, group: Vec<Waiting>) {
        match self.attempt(&group).await {
            Ok(answers) => {
                for (waiting, answer) in group.into_iter().zip(answers) {
                    // Nobody listens any more: what was written stays.
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(Failed::Lost) => {
                for waiting in group {
                    let _ = waiting.answer.send(Err(Unwritten::Lost));
                }
            }
            Err(failed) => {
                tracing::debug!(?failed, members = group.len(), "a group is written one by one");
                for waiting in group {
                    let answer = self.alone(&waiting).await;
                    let _ = waiting.answer.send(answer);
                }
            }
        }
    }

    async fn alone(&self, waiting: &Waiting) -> Answer {
        let mut tries = 0;
        loop {
            tries += 1;
            return match self.attempt(std::slice::from_ref(waiting)).await {
                Ok(mut answers) => answers.pop().unwrap_or(Err(Unwritten::Lost)),
                Err(Failed::Lost) => Err(Unwritten::Lost),
                // Somebody used the id for another conversation just now: next time it is found.
                Err(Failed::Overtaken) if tries < 3 => continue,
                Err(Failed::Overtaken) => Err(DbErr::Custom("a request id that nobody can find".into()).into()),
                Err(Failed::Db(error)) => Err(error.into()),
                Err(Failed::Panicked) => Err(DbErr::Custom("a decision panicked".into()).into()),
            };
        }
    }

    async fn attempt(&self, group: &[Waiting]) -> Result<Vec<Answer>, Failed> {
        // A bug in one decision must not end the writer, which everybody needs.
        AssertUnwindSafe(group::write(self, group)).catch_unwind().await.unwrap_or(Err(Failed::Panicked))
    }
}
