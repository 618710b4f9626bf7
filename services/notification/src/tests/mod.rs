//! Tests of commands and workers on a real database.

mod deliveries;
mod fake;
mod senders;
mod transcripts;

use frontdesk_api::Pages;
use frontdesk_auth::{Actor, Caller, CallerKind, DevelopmentKey};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    event::v1::{ConversationClosed, Event},
    notification::v1::CreateSenderRequest,
};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    App, NotificationSettings,
    domain::{Delivery, Facts},
    store::{self, decisions::Decision},
};

/// `postgres://superuser@host:port` of a server to run these tests on, instead of SQLite files.
const POSTGRES: &str = "FRONTDESK_TEST_POSTGRES";

/// An ordinary role: row-level security holds no superuser.
const MAKE_ROLE: &str = "DO $$ BEGIN CREATE ROLE suite LOGIN PASSWORD 'suite'; \
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

async fn database_of_its_own(server: &str) -> String {
    let name = format!("notification_{}", frontdesk_clock::testing::new_id().simple());
    let admin = sea_orm::Database::connect(format!("{server}/postgres")).await.unwrap();
    admin.execute_unprepared(MAKE_ROLE).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name} OWNER suite")).await.unwrap();
    format!("postgres://suite:suite@{}/{name}", server.rsplit_once('@').unwrap().1)
}

/// The service on a database of its own; nobody answers as the conversation service.
pub(crate) struct Suite {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) account: AccountId,
    pub(crate) folder: TempDir,
    bus: Bus,
}

impl Suite {
    pub(crate) async fn start() -> Self {
        Self::with(NotificationSettings::default()).await
    }

    pub(crate) async fn with(settings: NotificationSettings) -> Self {
        Self::asking("http://127.0.0.1:1", settings).await
    }

    /// With somebody who answers as the conversation service.
    pub(crate) async fn asking(conversation: &str, settings: NotificationSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let url = |name: &str| DatabaseUrl(format!("sqlite://{}", folder.path().join(name).display()));
        let at = match std::env::var(POSTGRES) {
            Ok(server) => DatabaseUrl(database_of_its_own(&server).await),
            Err(_) => url("notification.db"),
        };
        let settings_of_db = DbSettings { url: at, max_connections: Some(8) };
        let db = Db::connect(&settings_of_db, &clock).await.unwrap();
        frontdesk_db::migrate::<crate::Migrator>(&db).await.unwrap();
        let bus = Db::connect(&DbSettings { url: url("bus.db"), ..DbSettings::default() }, &clock).await.unwrap();
        let bus = Bus::in_process(bus, &clock).await.unwrap();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let peer = Peer::remote(conversation, "notification", None, Some(&keys)).unwrap();
        let pages = Pages::new(keys.installation_secret().clone());
        let app = App::new(settings, db, clock.clone(), pages, peer, folder.path(), CancellationToken::new()).unwrap();
        Self { app, clock, account: AccountId(frontdesk_clock::testing::new_id()), folder, bus }
    }

    /// Runs relay and worker until `condition` is true, then stops them.
    pub(crate) async fn work_until<F: AsyncFn() -> bool>(&self, condition: F) {
        let mut app = self.app.clone();
        app.shutdown = CancellationToken::new();
        let (shutdown, bus) = (app.shutdown.clone(), self.bus.clone());
        let work = tokio::spawn(crate::work(app, bus));
        let met = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while !condition().await {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
        shutdown.cancel();
        work.await.unwrap();
        assert!(met.is_ok(), "{:#?}", self.deliveries().await);
    }

    pub(crate) fn caller(&self, kind: CallerKind) -> Caller {
        let actor = Actor { kind, id: frontdesk_clock::testing::new_id().to_string() };
        Caller { account: self.account, kind, actor, ..Caller::service("") }
    }

    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        store::deliveries::list(self.app.db.read(), self.account, None, None, None, 1_000).await.unwrap()
    }

    pub(crate) async fn decisions(&self) -> Vec<Decision> {
        store::decisions::list(self.app.db.read(), self.account, None, None, 1_000).await.unwrap()
    }

    /// Every event of a type that was written.
    pub(crate) async fn events<M: Message + Name + Default>(&self) -> Vec<M> {
        let db = self.app.db.read();
        let query = "SELECT event FROM outbox_events ORDER BY position";
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
        rows.iter()
            .map(|row| Event::decode(row.try_get::<Vec<u8>>("", "event").unwrap().as_slice()).unwrap())
            .filter(|event| event.r#type == M::full_name())
            .map(|event| frontdesk_bus::decode(&event).unwrap())
            .collect()
    }

    pub(crate) fn mailbox(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mailbox").join(self.account.to_string())) else {
            return Vec::new();
        };
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

pub(crate) fn key(caller: &Caller, request_id: &str, address: &str) -> Key {
    let request = CreateSenderRequest { address: address.into(), ..CreateSenderRequest::default() };
    Key::new(caller, request_id, &request)
}

/// A chat with a person whose contact has a verified address.
pub(crate) fn facts() -> Facts {
    Facts {
        transcript_enabled: true,
        had_bot_session: false,
        had_agent: true,
        had_ticket: false,
        contact_known: true,
        address_usable: true,
        address_verified: true,
    }
}

/// The event of a close; the contact is the same for a whole account.
pub(crate) fn closed_event(account: AccountId, conversation: Uuid, close_number: i32, facts: &Facts) -> Event {
    let closed = ConversationClosed {
        conversation_id: conversation.to_string(),
        close_number,
        channel_id: frontdesk_clock::testing::new_id().to_string(),
        contact_id: if facts.contact_known { account.to_string() } else { String::new() },
        address_usable: facts.address_usable,
        address_verified: facts.address_verified,
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        last_sequence: 7,
        ..ConversationClosed::default()
    };
    Event {
        id: frontdesk_clock::testing::new_id().to_string(),
        r#type: ConversationClosed::full_name(),
        account_id: account.to_string(),
        data: Some(prost_types::Any { type_url: String::new(), value: closed.encode_to_vec() }),
        ..Event::default()
    }
}
