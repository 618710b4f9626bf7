//! How events reach other services: publishing, durable consumers, dead letters, and change notifications for live streams.
//!
//! Start reading at [`Bus`]. It takes the events of an outbox and delivers each to every consumer of its type, at least once,
//! also across restarts, in no promised order. A consumer ends with one of three [`Outcome`]s. There are two kinds of bus with
//! the same promises, held by one conformance suite: within this process, with its progress in a file of its own, and NATS
//! JetStream, for many processes.

mod attempt;
mod change_notifier;
mod consumer;
mod dead_letters;
pub mod event;
mod in_process;
mod inspection;
mod jet_stream;
mod settings;
mod unhandled;

use frontdesk_clock::{Clock, Time};
use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use sea_orm::DbErr;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use self::jet_stream::WhileUnreachable;

pub use change_notifier::ChangeNotifier;
pub use consumer::{Consumer, HANDLER_DEADLINE, MAX_ATTEMPTS, MAX_LOCKED_DELAY, Outcome};
pub use dead_letters::{
    DEAD_LETTERS, DeadLetter, count_dead_letters, delete_dead_letter, delete_dead_letters_of, find_dead_letter,
    list_dead_letters, oldest_dead_letters,
};
pub use event::decode;
pub use inspection::{BrokerInspection, BrokerObject, ObjectKind, ObjectState};
pub use settings::BusSettings;

/// Carries events between services. Clones share it.
#[derive(Clone)]
pub enum Bus {
    /// Within this process, durable in a file.
    InProcess(in_process::InProcess),
    /// NATS JetStream.
    JetStream(Box<jet_stream::JetStream>),
}

/// The bus cannot be used, or did not take the events; try again.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The database failed.
    #[error("the bus could not store the events: {0}")]
    Store(#[from] DbErr),
    /// The settings are wrong.
    #[error("bus: {0}")]
    Settings(String),
    /// The broker did not answer, or refused.
    #[error("the broker: {0}")]
    Broker(String),
}

/// State of the broker's stream of a service's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// When the stream was created; a later time than before means that it was created anew.
    pub created_at: Time,
    /// The number of its last event.
    pub last_sequence: i64,
}

/// The broker's acknowledgement of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The event's number in the broker's stream; 0 within this process.
    pub sequence: i64,
    /// Whether the stream had the event already, under this number.
    pub is_duplicate: bool,
}

/// Waits for the loops of a bus. A panic in one of them goes on in this task, whose supervisor counts it and starts all again.
async fn ended(mut loops: JoinSet<()>) {
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            resume_panic(error);
        }
    }
}

fn resume_panic(error: JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

impl Bus {
    /// A bus within this process that stores its progress in `db`.
    pub async fn in_process(db: Db, clock: &Clock) -> Result<Self, BusError> {
        Ok(Self::InProcess(in_process::InProcess::start(db, clock.clone()).await?))
    }

    /// NATS JetStream at the address of the settings. Returns also while the server is unreachable, and connects in the
    /// background.
    pub async fn jet_stream(settings: BusSettings, clock: &Clock) -> Result<Self, BusError> {
        Self::connect(settings, clock, WhileUnreachable::Retry).await
    }

    /// Like [`Self::jet_stream`], for a command that looks at the broker now: fails with the cause while the server is unreachable.
    pub async fn jet_stream_now(settings: BusSettings, clock: &Clock) -> Result<Self, BusError> {
        Self::connect(settings, clock, WhileUnreachable::Fail).await
    }

    async fn connect(settings: BusSettings, clock: &Clock, unreachable: WhileUnreachable) -> Result<Self, BusError> {
        let bus = jet_stream::JetStream::connect(settings, clock.clone(), unreachable).await?;
        Ok(Self::JetStream(Box::new(bus)))
    }

    /// Adds a consumer, before the first event is published. `db` stores its dead letters.
    pub fn subscribe(&self, consumer: impl Consumer, db: &Db) {
        match self {
            Self::InProcess(bus) => bus.subscribe(consumer, db.clone()),
            Self::JetStream(bus) => bus.subscribe(consumer, db.clone()),
        }
    }

    /// Creates the broker's streams for the events of `sources` and its consumers; where the operator manages them, checks
    /// that they exist.
    pub async fn prepare(&self, sources: &[&str]) -> Result<(), BusError> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::JetStream(bus) => bus.prepare(sources).await,
        }
    }

    /// Compares the broker's streams for the events of `sources` and its consumers with what [`Self::prepare`] creates, and changes nothing.
    /// None: there is no broker.
    pub async fn inspect(&self, sources: &[&str]) -> Option<BrokerInspection> {
        match self {
            Self::InProcess(_) => None,
            Self::JetStream(bus) => Some(bus.inspect(sources).await),
        }
    }

    /// Publishes events of one service, at most one of each aggregate. Returns for each, in their order, the broker's
    /// acknowledgement, or why it was not published. An event that was published before is not published twice.
    pub async fn publish(&self, events: &[Event]) -> Vec<Result<Acknowledged, BusError>> {
        match self {
            Self::InProcess(bus) => match bus.publish(events).await {
                Ok(()) => events.iter().map(|_| Ok(Acknowledged { sequence: 0, is_duplicate: false })).collect(),
                Err(error) => {
                    let why = error.to_string();
                    events.iter().map(|_| Err(BusError::Broker(why.clone()))).collect()
                }
            },
            Self::JetStream(bus) => bus.publish(events).await,
        }
    }

    /// Delivers a dead letter to its consumer again.
    pub async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        match self {
            Self::InProcess(bus) => bus.replay(consumer, event).await,
            Self::JetStream(bus) => bus.replay(consumer, event).await,
        }
    }

    /// State of the broker's stream of a service's events. None: there is no broker that could lose them. The next events ask the
    /// broker for room, so call it before publishing when another process may have published.
    pub async fn stream_state(&self, source: &str) -> Result<Option<StreamState>, BusError> {
        match self {
            Self::InProcess(_) => Ok(None),
            Self::JetStream(bus) => bus.stream_state(source).await.map(Some),
        }
    }

    /// Lets the consumers of a service's events begin anew whose position is after `lost_after`: the numbers after it were lost and
    /// are given again, to events that a consumer at a later position would never receive. Call it before the lost events are
    /// published again. Events that a consumer handled before come again too.
    pub async fn restart_consumers(&self, source: &str, lost_after: i64) -> Result<(), BusError> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::JetStream(bus) => bus.restart_consumers(source, lost_after).await,
        }
    }

    /// Changes when the connection to the broker is lost and when it is established again.
    pub fn reconnected(&self) -> watch::Receiver<u64> {
        match self {
            Self::InProcess(bus) => bus.reconnected(),
            Self::JetStream(bus) => bus.reconnected(),
        }
    }

    /// The change notifier of this name, the same for all who ask, and shared with the other replicas that use the bus.
    pub fn change_notifier(&self, name: &str) -> ChangeNotifier {
        match self {
            Self::InProcess(bus) => bus.change_notifier(name),
            Self::JetStream(bus) => bus.change_notifier(name),
        }
    }

    /// Delivers events to consumers until `shutdown`, then waits for the running handlers.
    pub async fn run(&self, shutdown: CancellationToken) {
        match self {
            Self::InProcess(bus) => bus.run(shutdown).await,
            Self::JetStream(bus) => bus.run(shutdown).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_one_loop_reaches_the_task_that_runs_them_all() {
        let mut loops = JoinSet::new();
        loops.spawn(std::future::pending());
        loops.spawn(async { panic!("planted") });
        assert!(tokio::spawn(ended(loops)).await.unwrap_err().is_panic());
    }
}
