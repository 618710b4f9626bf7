//! Bot-session: the account's bots, their flows, and their sessions with visitors.
//!
//! It owns the bots and the progress of each session, and promises two things: a session says each thing once and in
//! order, despite crashes and redelivered events (rule B6), and a timeout is checked on time (rule B4). It does
//! not decide who is in charge of a conversation or whether a visitor was silent: the conversation's row does (rules
//! A3, B5), and a call that the row rejects has no effect.
//!
//! Start reading at `commands/take_turns.rs`, then `workers/timeouts.rs`.

mod assignment;
mod commands;
mod consumers;
mod conversation;
mod domain;
mod error;
mod grpc;
mod migration;
mod queries;
mod store;
mod workers;

use std::sync::Arc;

use frontdesk_api::Pages;
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountTable, Db};
use frontdesk_event_streams::EventStreams;
use frontdesk_proto::botsession::{
    internal::v1::account_row_service_server::{self, AccountRowServiceServer},
    v1::{
        bot_engine_service_server::{self, BotEngineServiceServer},
        bot_service_server::{self, BotServiceServer},
        bot_session_service_server::{self, BotSessionServiceServer},
    },
};
use frontdesk_proto::event::v1::bot_session_event_service_server::{self, BotSessionEventServiceServer};
use frontdesk_service::{AccountStates, BuildError, Service, ServiceContext, Worker};
use opentelemetry::metrics::Histogram;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::commands::{Signals, TurnGuards};

pub use migration::Migrator;

/// Name of the service in events, tokens and consumers.
const NAME: &str = "bot-session";

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) pages: Pages,
    /// The streams of its events.
    pub(crate) events: EventStreams,
    pub(crate) conversation: Peer,
    pub(crate) assignment: Peer,
    pub(crate) shutdown: CancellationToken,
    /// Wakes the timeouts worker: the deadline of a session that started may be the earliest.
    pub(crate) session_started: Arc<Notify>,
    /// How late sessions timed out (seconds).
    pub(crate) timeout_lateness: Histogram<f64>,
    pub(crate) turn_guards: TurnGuards,
    /// Wakes the streams of a bot's program when its turns changed.
    pub(crate) turn_signals: Signals,
    /// Wakes them when the bot changed.
    pub(crate) bot_signals: Signals,
    /// Wakes the watches of a session.
    pub(crate) session_signals: Signals,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const GRPC_SERVICES: &'static [&'static str] = &[
        account_row_service_server::SERVICE_NAME,
        bot_engine_service_server::SERVICE_NAME,
        bot_service_server::SERVICE_NAME,
        bot_session_service_server::SERVICE_NAME,
        bot_session_event_service_server::SERVICE_NAME,
    ];
    const ACCOUNT_TABLES: &'static [AccountTable] = store::ACCOUNT_TABLES;
    const CALLS: &'static [&'static str] = &["conversation", "assignment"];
    type Migrator = Migrator;
    type Settings = ();

    fn try_new(context: ServiceContext, (): ()) -> Result<Self, BuildError> {
        Ok(Self {
            pages: context.pages(),
            events: EventStreams::new(NAME, &context.db, &context.bus, &context.pages(), &context.shutdown),
            conversation: context.peer("conversation")?,
            assignment: context.peer("assignment")?,
            db: context.db,
            clock: context.clock,
            shutdown: context.shutdown,
            session_started: Arc::default(),
            timeout_lateness: timeout_lateness(),
            turn_guards: TurnGuards::default(),
            turn_signals: Signals::default(),
            bot_signals: Signals::default(),
            session_signals: Signals::default(),
        })
    }

    fn routes(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AccountRowServiceServer::new(grpc::AccountRows(self.clone())))
            .add_service(BotEngineServiceServer::new(grpc::Engines(self.clone())))
            .add_service(BotServiceServer::new(grpc::Bots(self.clone())))
            .add_service(BotSessionServiceServer::new(grpc::BotSessions(self.clone())))
            .add_service(BotSessionEventServiceServer::new(grpc::Events(self.clone())));
    }

    fn subscribe(&self, bus: &Bus) {
        let (name, source, db) = ("bot-session.account_states", "conversation", self.db.clone());
        bus.subscribe(AccountStates { name, source, service: NAME, db }, &self.db);
        bus.subscribe(consumers::ConversationStarted(self.clone()), &self.db);
        bus.subscribe(consumers::VisitorMessage(self.clone()), &self.db);
        bus.subscribe(consumers::ConversationReleased(self.clone()), &self.db);
        bus.subscribe(consumers::ContactErasures(self.clone()), &self.db);
        bus.subscribe(consumers::OpeningHoursCopies(self.clone()), &self.db);
    }

    fn workers(&self) -> Vec<Worker> {
        let (app, engines, old_turns) = (self.clone(), self.clone(), self.clone());
        let (measured, events) = (self.clone(), self.events.clone());
        vec![
            Worker::new("event-streams", move || events.clone().read_new_events()),
            Worker::new("timeouts", move || workers::watch_timeouts(app.clone())),
            Worker::new("timeout-measurements", move || workers::measure_checks(measured.clone())),
            Worker::new("engine-turns", move || workers::watch_engine_turns(engines.clone())),
            Worker::new("engine-turns-retention", move || workers::forget_old_turns(old_turns.clone())),
        ]
    }
}

/// The metric of how late sessions timed out: at most a second is expected.
fn timeout_lateness() -> Histogram<f64> {
    frontdesk_telemetry::meter()
        .f64_histogram("frontdesk.bot_session.timeout_lateness")
        .with_unit("s")
        .with_description("How long after its deadline a bot session timed out")
        .with_boundaries(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0])
        .build()
}
