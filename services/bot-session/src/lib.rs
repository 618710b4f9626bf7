//! Bot-session: the account's bots, their flows, and their sessions with visitors.
//!
//! It owns the bots and the progress of each session, and promises two things: a session says each thing once and in
//! order, despite crashes and redelivered events (rule B6), and a silent visitor is noticed on time (rule B4). It does
//! not decide who is in charge of a conversation or whether a visitor was silent: the conversation's row does (rules
//! A3, B5), and a call that the row rejects has no effect.
//!
//! Start reading at `commands/take_turns.rs`, then `workers/timeouts.rs`.

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
use frontdesk_db::Db;
use frontdesk_proto::botsession::v1::{
    bot_service_server::{self, BotServiceServer},
    bot_session_service_server::{self, BotSessionServiceServer},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::commands::TurnGuards;

pub use migration::Migrator;

/// The service's name in events, tokens and consumers.
const SOURCE: &str = "bot-session";

/// Full names of the gRPC services that [`routes`] adds.
pub const SERVICES: &[&str] = &[bot_service_server::SERVICE_NAME, bot_session_service_server::SERVICE_NAME];

/// What every call, consumer and worker of the service needs. Clones share their state.
#[derive(Clone)]
pub struct App {
    db: Db,
    clock: Clock,
    pages: Pages,
    conversation: Peer,
    shutdown: CancellationToken,
    /// Wakes the timeouts worker: the deadline of a session that started may be the earliest.
    session_started: Arc<Notify>,
    turn_guards: TurnGuards,
}

impl App {
    /// The service on its own database, with the conversation service as its peer.
    pub fn new(db: Db, clock: Clock, pages: Pages, conversation: Peer, shutdown: CancellationToken) -> Self {
        Self {
            db,
            clock,
            pages,
            conversation,
            shutdown,
            session_started: Arc::default(),
            turn_guards: TurnGuards::default(),
        }
    }
}

/// Adds the gRPC services.
pub fn routes(app: &App, routes: &mut RoutesBuilder) {
    routes
        .add_service(BotServiceServer::new(grpc::Bots(app.clone())))
        .add_service(BotSessionServiceServer::new(grpc::BotSessions(app.clone())));
}

/// Adds the consumers, before the first event is published.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::ConversationStarted(app.clone()), &app.db);
    bus.subscribe(consumers::VisitorMessage(app.clone()), &app.db);
    bus.subscribe(consumers::ConversationReleased(app.clone()), &app.db);
}

/// Runs the service's background tasks until the shutdown.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(SOURCE, app.db.clone(), bus, app.shutdown.clone());
    let forget = frontdesk_db::delete_expired(
        &app.db,
        &[frontdesk_idempotency::RETENTION, frontdesk_outbox::RETENTIONS[0], frontdesk_outbox::RETENTIONS[1]],
        app.shutdown.clone(),
    );
    let forget_records = frontdesk_db::delete_expired(&app.db, &[frontdesk_audit::RETENTION], app.shutdown.clone());
    tokio::join!(relay, forget, forget_records, workers::watch_timeouts(app));
}
