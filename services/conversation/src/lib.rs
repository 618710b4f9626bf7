//! Conversations and their threads, contacts, channels and tickets.
//!
//! The row of a conversation is the arbiter: status, owner, ownership epoch, bot session in charge, the visitor's last
//! activity and the close number live in it and change in one transaction, with the entries and events of the change.
//! Whoever acts says what they believe and is refused, with what is true now, when the world has moved on.
//!
//! Start reading in `domain/conversation.rs` (what may happen), then any file of `commands/` (how it is written).

mod commands;
mod consumers;
mod domain;
mod error;
mod grpc;
mod migration;
mod queries;
mod store;
mod visitor_keys;

use std::sync::Arc;

use frontdesk_api::{Pages, SharedReads};
use frontdesk_auth::InstallationSecret;
use frontdesk_bus::{Bus, ChangeNotifier};
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::conversation::v1::{WatchChatResponse, WatchThreadResponse};
use tokio_util::sync::CancellationToken;

pub use error::{ConversationError, Explained};
pub use grpc::{SERVICES, routes};
pub use migration::Migrator;

use store::writer::Writer;

/// What every call of this service works with. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

#[doc(hidden)]
pub struct Parts {
    db: Db,
    hints: ChangeNotifier,
    pages: Pages,
    installation_secret: InstallationSecret,
    visitor_keys: visitor_keys::Remembered,
    writer: Writer,
    thread_reads: SharedReads<WatchThreadResponse>,
    chat_reads: SharedReads<WatchChatResponse>,
    assignment: Peer,
    bot_session: Peer,
    shutdown: CancellationToken,
}

impl App {
    /// The service on its database, knowing where the others are. `hints` reach the other replicas. Its writers run on the
    /// current runtime.
    pub fn new(
        db: Db,
        clock: &Clock,
        hints: ChangeNotifier,
        installation_secret: InstallationSecret,
        assignment: Peer,
        bot_session: Peer,
        shutdown: CancellationToken,
    ) -> Self {
        let writer = Writer::start(&db, clock, &hints);
        let (thread_reads, chat_reads) = (SharedReads::default(), SharedReads::default());
        Self(Arc::new(Parts {
            db,
            hints,
            pages: Pages::new(installation_secret.clone()),
            installation_secret,
            visitor_keys: visitor_keys::Remembered::default(),
            writer,
            thread_reads,
            chat_reads,
            assignment,
            bot_session,
            shutdown,
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Adds this service's consumers to the bus.
pub fn subscribe(app: &App, bus: &Bus) {
    bus.subscribe(consumers::Bots(app.clone()), &app.db);
    bus.subscribe(consumers::Agents(app.clone()), &app.db);
    bus.subscribe(consumers::SentTranscripts(app.clone()), &app.db);
}

/// Runs this service's workers until the shutdown: the relay of its outbox, and the forgetting of old request ids and
/// audit records.
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
