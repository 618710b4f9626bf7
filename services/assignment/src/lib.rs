//! Assignment: the account's roster of agents, the change of a conversation's owner, and the history of owners.
//!
//! It promises that nothing is assigned to somebody who is not on the roster, and that the history of a conversation is the
//! same whatever the order in which its events arrived (rule A8). It does not decide who owns a conversation: the
//! conversation's row does (rule A1), and this service is the one that asks it.
//!
//! Start reading at `commands/assign_conversation.rs`, then `consumers/history.rs`.

mod commands;
mod consumers;
mod conversation;
mod domain;
mod error;
mod grpc;
mod migration;
mod queries;
mod store;

use frontdesk_api::Pages;
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_db::Db;
use frontdesk_proto::assignment::v1::{
    assignment_service_server::{self, AssignmentServiceServer},
    roster_service_server::{self, RosterServiceServer},
};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use migration::Migrator;

/// The service's name in events, tokens and consumers.
const SOURCE: &str = "assignment";

/// Full names of the gRPC services that [`routes`] adds.
pub const SERVICES: &[&str] = &[assignment_service_server::SERVICE_NAME, roster_service_server::SERVICE_NAME];

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    db: Db,
    pages: Pages,
    conversation: Peer,
    shutdown: CancellationToken,
}

impl App {
    /// The service on its own database, with the conversation service as its peer.
    pub fn new(db: Db, pages: Pages, conversation: Peer, shutdown: CancellationToken) -> Self {
        Self { db, pages, conversation, shutdown }
    }
}

/// Adds the gRPC services.
pub fn routes(app: &App, routes: &mut RoutesBuilder) {
    routes
        .add_service(AssignmentServiceServer::new(grpc::Assignments(app.clone())))
        .add_service(RosterServiceServer::new(grpc::Roster(app.clone())));
}

/// Adds the consumers, before the first event is published.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::History(app.clone()), &app.db);
    bus.subscribe(consumers::HandedOff(app.clone()), &app.db);
}

/// Publishes the service's events and forgets what is old, until it is told to stop.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(SOURCE, app.db.clone(), bus, app.shutdown.clone());
    let forget = frontdesk_db::delete_expired(
        &app.db,
        &[frontdesk_idempotency::RETENTION, frontdesk_outbox::RETENTIONS[0], frontdesk_outbox::RETENTIONS[1]],
        app.shutdown.clone(),
    );
    tokio::join!(
        relay,
        forget,
        frontdesk_db::delete_expired(&app.db, &[frontdesk_audit::RETENTION], app.shutdown.clone())
    );
}
