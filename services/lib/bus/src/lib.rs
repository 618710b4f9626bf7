//! How events reach other services: publishing, durable consumers, dead letters, and hints for live streams.
//!
//! A [`Bus`] takes events that an outbox holds and brings each to every consumer that asked for its type, at least once, also
//! across restarts, in no promised order. A consumer ends in one of three ways ([`Outcome`]). Today's bus lives in this
//! process, with its progress in a file of its own; the one for many processes is another variant with the same promises.

mod dead_letters;
mod hints;
mod in_process;

use std::time::Duration;

use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

pub use dead_letters::{DEAD_LETTERS, DeadLetter, list_dead_letters};
pub use hints::Hints;

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
}

/// The bus did not take the events; try again.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The file that keeps progress refused.
    #[error("the bus could not keep the events: {0}")]
    Store(#[from] DbErr),
}

impl Bus {
    /// A bus within this process that keeps its progress in `db`.
    pub async fn in_process(db: Db, clock: &frontdesk_clock::Clock) -> Result<Self, BusError> {
        Ok(Self::InProcess(in_process::InProcess::start(db, clock.clone()).await?))
    }

    /// Adds a consumer before the first event is published. `db` keeps its dead letters.
    pub fn subscribe(&self, consumer: impl Consumer, db: &Db) {
        match self {
            Self::InProcess(bus) => bus.subscribe(consumer, db.clone()),
        }
    }

    /// Takes events, all or none; one that it has already is not taken twice.
    pub async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        match self {
            Self::InProcess(bus) => bus.publish(events).await,
        }
    }

    /// Brings events to consumers until `shutdown`, then lets handlers that run come to their end.
    pub async fn run(&self, shutdown: CancellationToken) {
        match self {
            Self::InProcess(bus) => bus.run(shutdown).await,
        }
    }
}

/// The event's message, when it is of this type.
pub fn decode<M: prost::Message + prost::Name + Default>(event: &Event) -> Result<M, String> {
    let data = event.data.as_ref().ok_or("the event has no data")?;
    M::decode(data.value.as_slice()).map_err(|error| format!("{} cannot be read: {error}", event.r#type))
}
