//! Conversations and their threads, the visitors who write in them, contacts, channels and tickets.
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
mod queries;
mod store;
mod workers;

use frontdesk_api::{Pages, SharedReads};
use frontdesk_auth::InstallationSecret;
use frontdesk_bus::{Bus, ChangeNotifier};
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::conversation::v1::{WatchChatResponse, WatchThreadResponse};
use tokio_util::sync::CancellationToken;

pub use grpc::{SERVICES, routes};
pub use migration::Migrator;

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    pub(crate) db: Db,
    /// Notifies the watchers of a conversation, at this replica and at the others.
    pub(crate) notifier: ChangeNotifier,
    pub(crate) pages: Pages,
    pub(crate) installation_secret: InstallationSecret,
    pub(crate) message_queue: workers::MessageQueue,
    pub(crate) visitor_keys: grpc::VisitorKeyCache,
    pub(crate) roster_knowledge: commands::RosterKnowledge,
    pub(crate) thread_reads: SharedReads<WatchThreadResponse>,
    pub(crate) chat_reads: SharedReads<WatchChatResponse>,
    pub(crate) assignment: Peer,
    pub(crate) bot_session: Peer,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// The service on its own database, with the assignment and bot-session services as its peers. Starts the message writer
    /// on the current runtime.
    pub fn new(
        db: Db,
        clock: &Clock,
        notifier: ChangeNotifier,
        installation_secret: InstallationSecret,
        assignment: Peer,
        bot_session: Peer,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            message_queue: workers::MessageQueue::new(&db, clock, &notifier),
            pages: Pages::new(installation_secret.clone()),
            visitor_keys: grpc::VisitorKeyCache::default(),
            roster_knowledge: commands::RosterKnowledge::default(),
            thread_reads: SharedReads::default(),
            chat_reads: SharedReads::default(),
            db,
            notifier,
            installation_secret,
            assignment,
            bot_session,
            shutdown,
        }
    }
}

/// Adds the consumers, before the first event is published.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::Bots(app.clone()), &app.db);
    bus.subscribe(consumers::Agents(app.clone()), &app.db);
    bus.subscribe(consumers::SentTranscripts(app.clone()), &app.db);
}

/// Publishes the service's events and deletes old request ids and audit records, until the shutdown.
pub async fn work(app: App, bus: Bus) {
    let relay = frontdesk_outbox::relay(store::SOURCE, app.db.clone(), bus, app.shutdown.clone());
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
