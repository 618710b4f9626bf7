//! Notification: decides at each close whether a transcript is mailed, composes mails and delivers them, and sends events to webhooks.
//!
//! It owns decisions, deliveries, sender addresses, the codes that verify addresses of visitors, and endpoints of webhooks.
//! It promises: exactly one decision per close, stored with the facts that it was based on (rule T3); no mail is lost, and
//! a mail is sent twice only when the outcome of its first attempt is unknown (T8); a transcript contains only what the
//! visitor saw (T7). Start reading at `commands/decide_transcript.rs`, then `workers/deliveries.rs`; the rules are in
//! `domain/`.

mod assignment;
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
mod web;
mod webhook;
mod workers;

use std::sync::Arc;

use axum::Router;
use frontdesk_api::Pages;
use frontdesk_auth::InstallationSecret;
use frontdesk_bus::Bus;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountTable, Db};
use frontdesk_event_streams::EventStreams;
use frontdesk_permits::Permits;
use frontdesk_proto::event::v1::notification_event_service_server::{self, NotificationEventServiceServer};
use frontdesk_proto::notification::{
    internal::v1::{
        account_row_service_server::{self, AccountRowServiceServer},
        address_code_service_server::{self, AddressCodeServiceServer},
    },
    v1::{
        delivery_service_server::{self, DeliveryServiceServer},
        notification_preference_service_server::{self, NotificationPreferenceServiceServer},
        sender_service_server::{self, SenderServiceServer},
        suppression_service_server::{self, SuppressionServiceServer},
        template_service_server::{self, TemplateServiceServer},
        transcript_service_server::{self, TranscriptServiceServer},
    },
    v1beta1::webhook_service_server::{self, WebhookServiceServer},
};
use frontdesk_service::{AccountStates, BuildError, Service, ServiceContext, Worker};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use assignment::AssignmentClient;
use conversation::ConversationClient;
use mail::DkimKeys;
pub use migration::Migrator;
use queries::TranscriptLinks;
pub use settings::{
    DkimKeySettings, MIN_TRANSCRIPT_BYTES, NotificationSettings, SmtpSettings, SmtpTls, WebhookSettings,
};
use transport::Transport;
pub use transport::{MailServerInspection, inspect_mail_server};
use webhook::{PublicEvents, ReceiverNetworks, WebhookAccounts};
use workers::{AttemptCounter, DeliveryCounter};

/// Name of the service in events, tokens and consumers.
const NAME: &str = "notification";

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    pub(crate) settings: Arc<NotificationSettings>,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) pages: Pages,
    /// The streams of its events.
    pub(crate) events: EventStreams,
    pub(crate) assignment: AssignmentClient,
    pub(crate) conversation: ConversationClient,
    pub(crate) transport: Transport,
    /// Display name and address of the installation's own mails.
    pub(crate) installation_sender: (String, String),
    pub(crate) dkim: DkimKeys,
    /// Wakes the delivery worker when a delivery may be due earlier than it knows.
    pub(crate) due: Arc<Notify>,
    /// Permits to compose previews, which hold a whole transcript in memory.
    pub(crate) previews: Arc<Semaphore>,
    pub(crate) links: TranscriptLinks,
    /// Permits for answers to links.
    pub(crate) linked: Permits,
    pub(crate) attempts: AttemptCounter,
    pub(crate) deliveries: DeliveryCounter,
    /// The secrets of endpoints of webhooks are derived from it.
    pub(crate) installation_secret: InstallationSecret,
    pub(crate) public_events: PublicEvents,
    pub(crate) receiver_networks: Arc<ReceiverNetworks>,
    pub(crate) webhook_accounts: WebhookAccounts,
    /// Wakes the worker of webhooks when a delivery may be due.
    pub(crate) webhooks_due: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const GRPC_SERVICES: &'static [&'static str] = &[
        account_row_service_server::SERVICE_NAME,
        transcript_service_server::SERVICE_NAME,
        delivery_service_server::SERVICE_NAME,
        sender_service_server::SERVICE_NAME,
        suppression_service_server::SERVICE_NAME,
        template_service_server::SERVICE_NAME,
        notification_preference_service_server::SERVICE_NAME,
        address_code_service_server::SERVICE_NAME,
        webhook_service_server::SERVICE_NAME,
        notification_event_service_server::SERVICE_NAME,
    ];
    const ACCOUNT_TABLES: &'static [AccountTable] = store::ACCOUNT_TABLES;
    const CALLS: &'static [&'static str] = &["conversation", "assignment"];
    type Migrator = Migrator;
    type Settings = NotificationSettings;

    fn try_new(context: ServiceContext, settings: NotificationSettings) -> Result<Self, BuildError> {
        settings.require_language()?;
        settings.require_inbox_url()?;
        Ok(Self {
            installation_sender: settings.installation_sender()?,
            dkim: DkimKeys::try_load(&settings.dkim_keys)?,
            transport: Transport::try_new(&settings, &context.data_folder)?,
            pages: context.pages(),
            events: EventStreams::new(NAME, &context.db, &context.bus, &context.pages(), &context.shutdown),
            assignment: AssignmentClient(context.peer("assignment")?),
            conversation: ConversationClient(context.peer("conversation")?),
            db: context.db,
            clock: context.clock,
            due: Arc::default(),
            previews: Arc::new(Semaphore::new(settings.previews_at_once)),
            links: TranscriptLinks::new(context.secret.clone(), &settings.public_url),
            linked: web::permits(),
            installation_secret: context.secret.clone(),
            public_events: PublicEvents::try_new()?,
            receiver_networks: Arc::new(ReceiverNetworks::try_new(
                &settings.webhooks.allowed_networks,
                &settings.webhooks.refused_networks,
            )?),
            webhook_accounts: WebhookAccounts::default(),
            webhooks_due: Arc::default(),
            attempts: AttemptCounter::new(),
            deliveries: DeliveryCounter::new(),
            shutdown: context.shutdown,
            settings: Arc::new(settings),
        })
    }

    fn routes(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AccountRowServiceServer::new(grpc::AccountRows(self.clone())))
            .add_service(TranscriptServiceServer::new(grpc::Transcripts(self.clone())))
            .add_service(DeliveryServiceServer::new(grpc::Deliveries(self.clone())))
            .add_service(SenderServiceServer::new(grpc::Senders(self.clone())))
            .add_service(SuppressionServiceServer::new(grpc::Suppressions(self.clone())))
            .add_service(TemplateServiceServer::new(grpc::Templates(self.clone())))
            .add_service(NotificationPreferenceServiceServer::new(grpc::Preferences(self.clone())))
            .add_service(AddressCodeServiceServer::new(grpc::AddressCodes(self.clone())))
            .add_service(WebhookServiceServer::new(grpc::Webhooks(self.clone())))
            .add_service(NotificationEventServiceServer::new(grpc::Events(self.clone())));
    }

    fn http_routes(&self) -> Router {
        web::routes(self)
    }

    fn subscribe(&self, bus: &Bus) {
        let (name, source, db) = ("notification.account_states", "conversation", self.db.clone());
        bus.subscribe(AccountStates { name, source, service: NAME, db }, &self.db);
        bus.subscribe(consumers::DecideTranscripts(self.clone()), &self.db);
        bus.subscribe(consumers::ContactErasures(self.clone()), &self.db);
        bus.subscribe(consumers::NotifyOfConversations(self.clone()), &self.db);
        for webhooks in consumers::QueueWebhooks::of_all_services(self) {
            bus.subscribe(webhooks, &self.db);
        }
    }

    fn warnings(&self) -> Vec<String> {
        let refuses = "notification: the mail server refuses every mail until its settings or Frontdesk's are repaired";
        self.attempts.refuses_every_mail().then(|| refuses.to_owned()).into_iter().collect()
    }

    fn workers(&self) -> Vec<Worker> {
        let (deliver, forget, events) = (self.clone(), self.clone(), self.events.clone());
        let (webhooks, forget_webhooks, measured) = (self.clone(), self.clone(), self.clone());
        vec![
            Worker::new("event-streams", move || events.clone().read_new_events()),
            Worker::new("deliveries", move || workers::deliver(deliver.clone())).drains_for(self.settings.drain),
            Worker::new("delivery-measurements", move || workers::measure_deliveries(measured.clone())),
            Worker::new("mails-of-failed-deliveries", move || workers::forget_mails(forget.clone())),
            Worker::new("webhooks", move || workers::deliver_webhooks(webhooks.clone()))
                .drains_for(self.settings.webhooks.timeout),
            Worker::new("old-webhooks", move || workers::forget_webhooks(forget_webhooks.clone())),
        ]
    }
}

impl App {
    /// Wakes the delivery worker, for [`frontdesk_db::Tx::on_commit`].
    fn wake(&self) -> impl FnOnce() + Send + 'static {
        let due = self.due.clone();
        move || due.notify_one()
    }

    /// Wakes the worker of webhooks, for [`frontdesk_db::Tx::on_commit`].
    fn wake_webhooks(&self) -> impl FnOnce() + Send + 'static {
        let due = self.webhooks_due.clone();
        move || due.notify_one()
    }
}
