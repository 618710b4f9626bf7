//! Bot-session: the account's bots, their flows, and their sessions with visitors.
//!
//! It promises that a session says each thing once and in order whatever crashes or comes twice, and that a visitor's
//! silence is noticed on time (rule B4). It does not decide who is in charge or whether a visitor was silent: the
//! conversation's row does (rules A3, B5), and what it refuses is not done.
//!
//! Start reading at `commands/take_turn.rs`, then `workers/timeouts.rs`.

mod busy;
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

use crate::busy::Busy;

pub use migration::Migrator;

/// The service's name in events, tokens and consumers.
const SOURCE: &str = "bot-session";

/// Full names of the gRPC services that [`routes`] adds.
pub const SERVICES: &[&str] = &[bot_service_server::SERVICE_NAME, bot_session_service_server::SERVICE_NAME];

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    db: Db,
    clock: Clock,
    pages: Pages,
    conversation: Peer,
    shutdown: CancellationToken,
    /// Woken when a session began: its deadline may be the next one.
    session_began: Arc<Notify>,
    /// The sessions whose turns are being taken.
    busy: Busy,
}

impl App {
    /// The service on its own database, with the conversation service as its peer.
    pub fn new(db: Db, clock: Clock, pages: Pages, conversation: Peer, shutdown: CancellationToken) -> Self {
        Self { db, clock, pages, conversation, shutdown, session_began: Arc::default(), busy: Busy::default() }
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
    bus.subscribe(consumers::Started(app.clone()), &app.db);
    bus.subscribe(consumers::VisitorSpoke(app.clone()), &app.db);
    bus.subscribe(consumers::Lost(app.clone()), &app.db);
}

/// Publishes the service's events and watches the sessions' deadlines until it is told to stop.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(SOURCE, app.db.clone(), bus, app.shutdown.clone());
    let forget = frontdesk_db::delete_expired(
        &app.db,
        &[frontdesk_idempotency::RETENTION, frontdesk_outbox::RETENTIONS[0], frontdesk_outbox::RETENTIONS[1]],
        app.shutdown.clone(),
    );
    let forget_records = frontdesk_db::delete_expired(&app.db, &[frontdesk_audit::RETENTION], app.shutdown.clone());
    tokio::join!(relay, forget, forget_records, workers::watch_deadlines(app));
}
