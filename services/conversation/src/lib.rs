//! Conversations and their threads, the visitors who write in them, contacts, channels, tickets, inserts and attachments.
//!
//! The row of a conversation is the arbiter: status, owner, ownership epoch, bot session in charge, the visitor's last
//! activity and the close number change in one transaction, with the entries and events of the change. A caller states what it
//! believes and is rejected, with what is true now, when the state has moved on.
//!
//! Start reading in `domain/conversation.rs` (which changes are allowed), then in any file of `commands/` (how a change is
//! written).

mod assignment;
mod bot_session;
mod commands;
mod consumers;
mod domain;
mod error;
mod grpc;
mod migration;
mod notification;
mod queries;
mod settings;
mod store;
mod web;
mod workers;

use std::sync::Arc;

use axum::Router;
use frontdesk_api::{Pages, SharedReads};
use frontdesk_auth::{InstallationSecret, VisitorKeyStore};
use frontdesk_bus::{Bus, ChangeNotifier};
use frontdesk_client::Peer;
use frontdesk_db::{AccountId, AccountTable, Db};
use frontdesk_event_streams::EventStreams;
use frontdesk_proto::conversation::{
    internal::v1::arbiter_service_server::{self, ArbiterServiceServer},
    v1::{
        WatchChatResponse, WatchThreadResponse,
        account_job_service_server::{self, AccountJobServiceServer},
        attachment_service_server::{self, AttachmentServiceServer},
        channel_service_server::{self, ChannelServiceServer},
        contact_job_service_server::{self, ContactJobServiceServer},
        contact_service_server::{self, ContactServiceServer},
        conversation_service_server::{self, ConversationServiceServer},
        insert_service_server::{self, InsertServiceServer},
        settings_service_server::{self, SettingsServiceServer},
        thread_service_server::{self, ThreadServiceServer},
        ticket_service_server::{self, TicketServiceServer},
        visitor_service_server::{self, VisitorServiceServer},
    },
};
use frontdesk_proto::event::v1::conversation_event_service_server::{self, ConversationEventServiceServer};
use frontdesk_service::{BuildError, Service, ServiceContext, Worker};
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use uuid::Uuid;

pub use settings::{AttachmentSettings, ConversationSettings, S3Settings};

/// Name of the service in events, tokens and consumers.
const NAME: &str = "conversation";

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    pub(crate) db: Db,
    /// Notifies the watchers of a conversation, at this replica and at the others.
    pub(crate) notifier: ChangeNotifier,
    pub(crate) pages: Pages,
    /// The streams of its events.
    pub(crate) events: EventStreams,
    pub(crate) installation_secret: InstallationSecret,
    pub(crate) message_queue: workers::MessageQueue,
    pub(crate) visitor_keys: grpc::VisitorKeyCache,
    pub(crate) roster_knowledge: commands::RosterKnowledge,
    pub(crate) stored_administrators: commands::StoredAdministrators,
    pub(crate) recent_signals: commands::RecentSignals,
    pub(crate) left_addresses: commands::LeftAddresses,
    pub(crate) thread_reads: SharedReads<WatchThreadResponse>,
    pub(crate) chat_reads: SharedReads<WatchChatResponse>,
    pub(crate) watched_inboxes: workers::WatchedInboxes,
    /// The places in queues that visitors are shown.
    pub(crate) watched_places: workers::WatchedPlaces,
    pub(crate) attachment_settings: Arc<AttachmentSettings>,
    /// What the installation allows to attach; an account may allow less.
    pub(crate) attachment_policy: Arc<domain::AttachmentPolicy>,
    pub(crate) attachment_links: commands::AttachmentLinks,
    /// The bytes of attachments.
    pub(crate) objects: store::objects::Objects,
    /// Wakes the worker of jobs on contacts.
    pub(crate) contact_jobs_due: Arc<Notify>,
    pub(crate) assignment: Peer,
    pub(crate) bot_session: Peer,
    pub(crate) notification: Peer,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// Sends a signal to the watches of the conversation, at every replica.
    pub(crate) fn signal(&self, conversation: Uuid, signal: &domain::Signal) {
        // Its serialisation does not fail.
        if let Ok(json) = serde_json::to_vec(signal) {
            self.notifier.signal(conversation, json.into());
        }
    }

    /// Wakes the worker of jobs on contacts, for [`frontdesk_db::Tx::on_commit`].
    pub(crate) fn wake_contact_jobs(&self) -> impl FnOnce() + Send + Sync + 'static {
        let due = self.contact_jobs_due.clone();
        move || due.notify_one()
    }
}

impl Service for App {
    const NAME: &'static str = NAME;
    const GRPC_SERVICES: &'static [&'static str] = &[
        conversation_service_server::SERVICE_NAME,
        thread_service_server::SERVICE_NAME,
        visitor_service_server::SERVICE_NAME,
        contact_service_server::SERVICE_NAME,
        contact_job_service_server::SERVICE_NAME,
        account_job_service_server::SERVICE_NAME,
        channel_service_server::SERVICE_NAME,
        ticket_service_server::SERVICE_NAME,
        insert_service_server::SERVICE_NAME,
        attachment_service_server::SERVICE_NAME,
        settings_service_server::SERVICE_NAME,
        arbiter_service_server::SERVICE_NAME,
        conversation_event_service_server::SERVICE_NAME,
    ];
    const CALLS: &'static [&'static str] = &["assignment", "bot-session", "notification"];
    const ACCOUNT_TABLES: &'static [AccountTable] = store::ACCOUNT_TABLES;
    type Migrator = migration::Migrator;
    type Settings = ConversationSettings;

    fn try_new(context: ServiceContext, settings: ConversationSettings) -> Result<Self, BuildError> {
        let ConversationSettings { attachments, public_url } = settings;
        let objects = attachments.objects(&context.data_folder)?;
        let notifier = context.bus.change_notifier(NAME);
        Ok(Self {
            pages: context.pages(),
            events: EventStreams::new(NAME, &context.db, &context.bus, &context.pages(), &context.shutdown),
            assignment: context.peer("assignment")?,
            bot_session: context.peer("bot-session")?,
            notification: context.peer("notification")?,
            message_queue: workers::MessageQueue::new(&context.db, &notifier),
            visitor_keys: grpc::VisitorKeyCache::default(),
            roster_knowledge: commands::RosterKnowledge::default(),
            stored_administrators: commands::StoredAdministrators::default(),
            recent_signals: commands::RecentSignals::default(),
            left_addresses: commands::LeftAddresses::default(),
            thread_reads: SharedReads::default(),
            chat_reads: SharedReads::default(),
            watched_inboxes: workers::WatchedInboxes::default(),
            watched_places: workers::WatchedPlaces::default(),
            attachment_policy: Arc::new(attachments.policy()),
            attachment_settings: Arc::new(attachments),
            attachment_links: commands::AttachmentLinks::new(context.secret.clone(), &public_url),
            contact_jobs_due: Arc::default(),
            objects,
            notifier,
            db: context.db,
            installation_secret: context.secret,
            shutdown: context.shutdown,
        })
    }

    fn routes(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(ConversationServiceServer::new(grpc::Conversations(self.clone())))
            .add_service(ThreadServiceServer::new(grpc::Threads(self.clone())))
            .add_service(VisitorServiceServer::new(grpc::Visitors(self.clone())))
            .add_service(ContactServiceServer::new(grpc::Contacts(self.clone())))
            .add_service(ContactJobServiceServer::new(grpc::ContactJobs(self.clone())))
            .add_service(AccountJobServiceServer::new(grpc::AccountJobs(self.clone())))
            .add_service(ChannelServiceServer::new(grpc::Channels(self.clone())))
            .add_service(TicketServiceServer::new(grpc::Tickets(self.clone())))
            .add_service(InsertServiceServer::new(grpc::Inserts(self.clone())))
            .add_service(AttachmentServiceServer::new(grpc::Attachments(self.clone())))
            .add_service(SettingsServiceServer::new(grpc::Settings(self.clone())))
            .add_service(ArbiterServiceServer::new(grpc::Arbiter(self.clone())))
            .add_service(ConversationEventServiceServer::new(grpc::Events(self.clone())));
    }

    fn subscribe(&self, bus: &Bus) {
        bus.subscribe(consumers::Bots(self.clone()), &self.db);
        bus.subscribe(consumers::Agents(self.clone()), &self.db);
        bus.subscribe(consumers::OpeningHoursCopies(self.clone()), &self.db);
        bus.subscribe(consumers::RoutingPolicies(self.clone()), &self.db);
        bus.subscribe(consumers::SentTranscripts(self.clone()), &self.db);
        bus.subscribe(consumers::Teams(self.clone()), &self.db);
        bus.subscribe(consumers::Queues(self.clone()), &self.db);
        for confirmations in consumers::ConfirmedErasures::of_each_service(self) {
            bus.subscribe(confirmations, &self.db);
        }
        for confirmations in consumers::ConfirmedStates::of_each_service(self) {
            bus.subscribe(confirmations, &self.db);
        }
    }

    fn workers(&self) -> Vec<Worker> {
        vec![
            workers::event_streams(self),
            workers::message_writer(&self.message_queue, &self.shutdown),
            workers::inbox_changes(&self.db, &self.notifier, &self.watched_inboxes, &self.shutdown),
            workers::watched_conversations(&self.db, &self.notifier, &self.shutdown),
            workers::search_index(&self.db, &self.notifier, &self.shutdown),
            workers::unsent_attachments(&self.db, &self.objects, &self.shutdown),
            workers::contact_jobs(self),
            workers::account_jobs(self),
            workers::queue_places(self),
        ]
    }

    fn http_routes(&self) -> Router {
        web::routes(self)
    }

    fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>> {
        Some(Arc::new(self.clone()))
    }

    fn erase_files_of(&self, account: AccountId) -> BoxFuture<'static, Result<(), BuildError>> {
        let objects = self.objects.clone();
        Box::pin(async move { Ok(objects.delete_account(account).await?) })
    }
}
