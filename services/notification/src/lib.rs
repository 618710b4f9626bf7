//! Notification: decides at each close whether a transcript is mailed, composes mails and delivers them.
//!
//! It owns decisions, deliveries and sender addresses. It promises: exactly one decision per close, stored with the facts that
//! it was based on (rule T3); no mail is lost, and a mail is sent twice only when the outcome of its first attempt is unknown
//! (T8); a transcript contains only what the visitor saw (T7). Start reading at `commands/decide_transcript.rs`, then
//! `workers/deliveries.rs`; the rules are in `domain/`.

mod commands;
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
mod transport;
mod workers;

use std::{path::Path, sync::Arc};

use frontdesk_api::Pages;
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::notification::v1::{
    delivery_service_server::{self, DeliveryServiceServer},
    sender_service_server::{self, SenderServiceServer},
    transcript_service_server::{self, TranscriptServiceServer},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use conversation::ConversationClient;
pub use migration::Migrator;
pub use settings::{NotificationSettings, SmtpSettings, SmtpTls};
use transport::Transport;
pub use transport::TransportError;

/// The service's name in events, tokens and consumers.
const SOURCE: &str = "notification";

/// Full names of the gRPC services that [`routes`] adds.
pub const SERVICES: &[&str] = &[
    transcript_service_server::SERVICE_NAME,
    delivery_service_server::SERVICE_NAME,
    sender_service_server::SERVICE_NAME,
];

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    settings: Arc<NotificationSettings>,
    db: Db,
    clock: Clock,
    pages: Pages,
    conversations: ConversationClient,
    transport: Transport,
    /// Display name and address of the installation's own mails.
    installation_sender: (String, String),
    /// Wakes the delivery worker when a delivery may be due earlier than it knows.
    due: Arc<Notify>,
    shutdown: CancellationToken,
}

/// The settings are invalid.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The settings of the mail server.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The installation's own sender is not a mailbox.
    #[error("notification.installation_sender: must be like Frontdesk <frontdesk@example.com>")]
    InstallationSender,
}

impl App {
    /// The service on its own database, with the conversation service as its peer. `data_folder` contains the mailbox folder
    /// when there is no mail server.
    pub fn new(
        settings: NotificationSettings,
        db: Db,
        clock: Clock,
        pages: Pages,
        conversation: Peer,
        data_folder: &Path,
        shutdown: CancellationToken,
    ) -> Result<Self, AppError> {
        let installation_sender =
            settings::parse_mailbox(&settings.installation_sender).ok_or(AppError::InstallationSender)?;
        let transport = Transport::try_new(&settings, data_folder)?;
        Ok(Self {
            settings: Arc::new(settings),
            db,
            clock,
            pages,
            conversations: ConversationClient(conversation),
            transport,
            installation_sender,
            due: Arc::default(),
            shutdown,
        })
    }

    /// The folder with one folder of mails for each account. None: mails are sent to a mail server.
    pub fn mailbox_folder(&self) -> Option<&Path> {
        match &self.transport {
            Transport::File(folder) => Some(folder),
            Transport::Smtp(_) => None,
        }
    }

    /// Wakes the delivery worker, for [`frontdesk_db::Tx::on_commit`].
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

/// Adds the consumers, before the first event is published.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::DecideTranscripts(app.clone()), &app.db);
}

/// Publishes the service's events, deletes old rows and delivers mails until the shutdown.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(SOURCE, app.db.clone(), bus, app.shutdown.clone());
    let mut retentions = frontdesk_outbox::RETENTIONS.to_vec();
    retentions.extend([frontdesk_idempotency::RETENTION, frontdesk_audit::RETENTION]);
    let retention = frontdesk_db::delete_expired(&app.db, &retentions, app.shutdown.clone());
    tokio::join!(relay, retention, workers::deliver(app.clone()));
}
