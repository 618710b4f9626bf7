//! How events reach other services: publishing, durable consumers, dead letters, and hints for live streams.
//!
//! A [`Bus`] takes events that an outbox holds and brings each to every consumer that asked for its type, at least once, also
//! across restarts, in no promised order. A consumer ends in one of three ways ([`Outcome`]). There are two kinds with the
//! same promises, held by one conformance suite: within this process, with its progress in a file of its own, and NATS
//! JetStream, for many processes.

mod attempt;
mod dead_letters;
mod hints;
mod in_process;
mod jet_stream;
mod settings;

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use sea_orm::DbErr;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use dead_letters::{DEAD_LETTERS, DeadLetter, find_dead_letter, forget_dead_letter, list_dead_letters};
pub use hints::Hints;
pub use settings::BusSettings;

/// How a consumer is done with an event.
#[derive(Debug)]
pub enum Outcome {
    /// Its effect is committed, or it needed none.
    Done,
    /// Not now, for this reason: bring it again after a pause that grows.
    Later(String),
    /// Never, for this reason: keep it as a dead letter and go on.
    Hopeless(String),
}

impl<E: std::fmt::Display> From<Result<(), E>> for Outcome {
    /// A failure is worth another try: what is hopeless is said so.
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Later(error.to_string()),
        }
    }
}

/// Handles the events of some types. Deliveries repeat and overtake each other.
#[async_trait::async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Its name, `service.purpose`; progress is kept under it.
    fn name(&self) -> &'static str;
    /// The service whose events it handles.
    fn source(&self) -> &'static str;
    /// Full names of the messages it handles.
    fn types(&self) -> Vec<String>;
    /// Handles one, within [`HANDLER_DEADLINE`].
    async fn handle(&self, event: &Event) -> Outcome;
}

/// A handler that takes longer is tried again later.
pub const HANDLER_DEADLINE: Duration = Duration::from_secs(20);
/// So many tries, the last ones half a minute apart; then it is a dead letter.
pub const MAX_ATTEMPTS: i32 = 100;

/// Events on their way between services. Clones share it.
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
    /// The file that keeps progress refused.
    #[error("the bus could not keep the events: {0}")]
    Store(#[from] DbErr),
    /// The settings are wrong.
    #[error("bus: {0}")]
    Settings(String),
    /// The broker did not answer, or refused.
    #[error("the broker: {0}")]
    Broker(String),
}

/// Where the broker's copy of a service's events stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// When the stream was made: another one later was made anew.
    pub created_at: Time,
    /// The number of its last event.
    pub last_sequence: i64,
}

impl Bus {
    /// A bus within this process that keeps its progress in `db`.
    pub async fn in_process(db: Db, clock: &Clock) -> Result<Self, BusError> {
        Ok(Self::InProcess(in_process::InProcess::start(db, clock.clone()).await?))
    }

    /// NATS JetStream at the address of the settings; a server that is not there yet is waited for, while calls are served.
    pub async fn jet_stream(settings: BusSettings) -> Result<Self, BusError> {
        Ok(Self::JetStream(Box::new(jet_stream::JetStream::connect(settings).await?)))
    }

    /// Adds a consumer before the first event is published. `db` keeps its dead letters.
    pub fn subscribe(&self, consumer: impl Consumer, db: &Db) {
        match self {
            Self::InProcess(bus) => bus.subscribe(consumer, db.clone()),
            Self::JetStream(bus) => bus.subscribe(consumer, db.clone()),
        }
    }

    /// Makes what the broker must have for the events of `sources` and for every consumer; or checks that it is there, where
    /// the operator makes it.
    pub async fn prepare(&self, sources: &[&str]) -> Result<(), BusError> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::JetStream(bus) => bus.prepare(sources).await,
        }
    }

    /// Takes events of one service, at most one of each aggregate. Gives for each, in their order, its number in the broker's
    /// stream (0 where there is none), or why it was not taken; one that the bus has already is not taken twice.
    pub async fn publish(&self, events: &[Event]) -> Vec<Result<i64, BusError>> {
        match self {
            Self::InProcess(bus) => match bus.publish(events).await {
                Ok(()) => events.iter().map(|_| Ok(0)).collect(),
                Err(error) => {
                    let why = error.to_string();
                    events.iter().map(|_| Err(BusError::Broker(why.clone()))).collect()
                }
            },
            Self::JetStream(bus) => bus.publish(events).await,
        }
    }

    /// Brings an event to one consumer again, which gave it up.
    pub async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        match self {
            Self::InProcess(bus) => bus.replay(consumer, event).await,
            Self::JetStream(bus) => bus.replay(consumer, event).await,
        }
    }

    /// What the broker holds of a service's events. None: there is no broker that could lose them.
    pub async fn stream_state(&self, source: &str) -> Result<Option<StreamState>, BusError> {
        match self {
            Self::InProcess(_) => Ok(None),
            Self::JetStream(bus) => bus.stream_state(source).await.map(Some),
        }
    }

    /// Changes whenever the connection to the broker was lost and found again.
    pub fn reconnected(&self) -> watch::Receiver<u64> {
        match self {
            Self::InProcess(bus) => bus.reconnected(),
            Self::JetStream(bus) => bus.reconnected(),
        }
    }

    /// Hints of this name, shared with the other replicas that use the bus.
    pub fn hints(&self, name: &'static str) -> Hints {
        match self {
            Self::InProcess(_) => Hints::default(),
            Self::JetStream(bus) => bus.hints(name),
        }
    }

    /// Brings events to consumers until `shutdown`, then lets handlers that run come to their end.
    pub async fn run(&self, shutdown: CancellationToken) {
        match self {
            Self::InProcess(bus) => bus.run(shutdown).await,
            Self::JetStream(bus) => bus.run(shutdown).await,
        }
    }
}

/// The event's message, when it is of this type.
pub fn decode<M: prost::Message + prost::Name + Default>(event: &Event) -> Result<M, String> {
    let data = event.data.as_ref().ok_or("the event has no data")?;
    M::decode(data.value.as_slice()).map_err(|error| format!("{} cannot be read: {error}", event.r#type))
}
