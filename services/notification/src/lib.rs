//! Notification: decides at each close whether a transcript is mailed, composes mails and delivers them.
//!
//! It owns decisions, deliveries and sender addresses. It promises: exactly one decision per close, kept with the facts that
//! it was made by (rule T3); no mail is lost, and none is sent twice but in the one window that nobody can close (T8);
//! nothing that the visitor did not see is in a transcript (T7). Start reading at `commands/decide_transcript.rs`, then
//! `workers/deliveries.rs`; the rules are in `domain/`.

mod commands;
mod composition;
mod consumers;
mod conversation;
mod domain;
mod error;
mod grpc;
mod mail;
mod migration;
mod queries;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod transport;
mod workers;

use std::{path::Path, sync::Arc};

use frontdesk_api::Pages;
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::notification::v1::{
    delivery_service_server::DeliveryServiceServer, sender_service_server::SenderServiceServer,
    transcript_service_server::TranscriptServiceServer,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use conversation::Conversations;
use domain::Pauses;
pub use migration::Migrator;
pub use settings::{NotificationSettings, SmtpSettings, SmtpTls};
use transport::Transport;
pub use transport::TransportError;

/// The service's name in events, tokens and consumers.
const SOURCE: &str = "notification";

/// Full names of the services served.
pub const SERVICES: &[&str] = &[
    "frontdesk.notification.v1.TranscriptService",
    "frontdesk.notification.v1.DeliveryService",
    "frontdesk.notification.v1.SenderService",
];

/// The service. Clones share everything.
#[derive(Clone)]
pub struct App {
    settings: Arc<NotificationSettings>,
    db: Db,
    clock: Clock,
    pages: Pages,
    conversations: Conversations,
    transport: Transport,
    installation_sender: (String, String),
    /// Woken when a delivery may be due earlier than was known.
    due: Arc<Notify>,
    shutdown: CancellationToken,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Those of the mail server.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The installation's own sender is no address.
    #[error("notification.installation_sender: must be like Frontdesk <frontdesk@example.com>")]
    InstallationSender,
}

impl App {
    /// The service with its parts. `data_folder` holds the mailbox folder when there is no mail server.
    pub fn new(
        settings: NotificationSettings,
        db: Db,
        clock: Clock,
        pages: Pages,
        conversation: Peer,
        data_folder: &Path,
        shutdown: CancellationToken,
    ) -> Result<Self, AppError> {
        let installation_sender = domain::mailbox(&settings.installation_sender).ok_or(AppError::InstallationSender)?;
        let transport = Transport::new(&settings.smtp, data_folder)?;
        Ok(Self {
            settings: Arc::new(settings),
            db,
            clock,
            pages,
            conversations: Conversations(conversation),
            transport,
            installation_sender,
            due: Arc::default(),
            shutdown,
        })
    }

    /// The folder that mails are written to, in it one for each account; None when a mail server gets them.
    pub fn mailbox_folder(&self) -> Option<&Path> {
        match &self.transport {
            Transport::File(folder) => Some(folder),
            Transport::Smtp(_) => None,
        }
    }

    fn pauses(&self) -> Pauses {
        Pauses { first: self.settings.retry_pause, max_attempts: self.settings.max_attempts }
    }

    /// What wakes the delivery worker, for [`frontdesk_db::Tx::on_commit`].
    fn wake(&self) -> impl FnOnce() + Send + 'static {
        let due = self.due.clone();
        move || due.notify_one()
    }
}

/// Adds the gRPC services.
pub fn routes(app: &App, routes: &mut RoutesBuilder) {
    routes
        .add_service(TranscriptServiceServer::new(grpc::Transcripts(app.clone())))
        .add_service(DeliveryServiceServer::new(grpc::Deliveries(app.clone())))
        .add_service(SenderServiceServer::new(grpc::Senders(app.clone())));
}

/// Adds the consumers.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::DecideTranscripts(app.clone()), &app.db);
}

/// Publishes events and delivers mails until the shutdown; returns when both have ended.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(SOURCE, app.db.clone(), bus, app.shutdown.clone());
    let forget = frontdesk_db::delete_expired(
        &app.db,
        &[frontdesk_idempotency::RETENTION, frontdesk_outbox::RETENTIONS[0], frontdesk_outbox::RETENTIONS[1]],
        app.shutdown.clone(),
    );
    let forget_records = frontdesk_db::delete_expired(&app.db, &[frontdesk_audit::RETENTION], app.shutdown.clone());
    tokio::join!(relay, forget, forget_records, workers::deliver(app));
}
