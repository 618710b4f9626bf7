//! A message writer on a database of its own, with what its tests do and look at.

use std::{
    sync::{
        Mutex as SyncMutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::Clock;
use frontdesk_db::{Tx, migrate};
use frontdesk_proto::conversation::v1::PostMessageRequest;
use frontdesk_testkit::{Mode, TestDatabase};
use futures::future::{BoxFuture, join_all};
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    domain::{Agent, ClosingFacts, Content, Greeting, Message, NewConversation, RosterState, StartContext, TeamMember},
    store::{agents, conversations, entries},
};

use super::super::*;

pub(super) const ADA: Uuid = Uuid::from_u128(1);
pub(super) const GONE: Uuid = Uuid::from_u128(2);
pub(super) const OTHER_ACCOUNT: AccountId = AccountId(Uuid::from_u128(3));

/// A writer on a database with Ada, who is active, and one agent who is not.
pub(super) struct Fixture {
    pub(super) writer: BatchWriter,
    pub(super) clock: Clock,
    pub(super) account: AccountId,
    _database: TestDatabase,
}

pub(super) async fn fixture(mode: Mode) -> Fixture {
    let clock = Clock::system();
    let database = TestDatabase::create(mode, &clock).await;
    let db = database.db.clone();
    migrate::<crate::migration::Migrator>(&db).await.unwrap();
    let account = AccountId(Uuid::from_u128(4));
    let tx = db.begin().await.unwrap();
    for (id, name, active) in [(ADA, "Ada", true), (GONE, "Gone", false)] {
        let roster = Some(RosterState { active, version: 1 });
        agents::save(&tx, Agent { account, id, name: name.into(), roster }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let writer = BatchWriter::new(&db, &ChangeNotifier::default(), store::conversation_batch(&db));
    Fixture { writer, clock, account, _database: database }
}

impl Fixture {
    pub(super) async fn start(&self, visitor: &str) -> Uuid {
        static IDS: AtomicU32 = AtomicU32::new(100);
        let new = NewConversation {
            id: Uuid::from_u128(IDS.fetch_add(1, Ordering::Relaxed).into()),
            account: self.account,
            channel_id: Uuid::from_u128(7),
            visitor_id: visitor.into(),
            contact_id: None,
            visitor_name: String::new(),
            unusable_token_email: String::new(),
            context: StartContext::default(),
            previous_id: None,
            greeting: Greeting::Unassigned,
        };
        let mut conversation = Conversation::start(new, self.clock.now());
        let mut tx = self.writer.db.begin().await.unwrap();
        conversations::insert(&mut tx, &self.writer.notifier, &mut conversation).await.unwrap();
        tx.commit().await.unwrap();
        conversation.id
    }

    pub(super) async fn close(&self, id: Uuid) {
        let mut tx = self.writer.db.begin().await.unwrap();
        let mut conversation = conversations::find_for_update(&tx, self.account, id).await.unwrap().unwrap();
        conversation.close_by_team(&TeamMember::Agent(ADA), None, ClosingFacts::default(), self.clock.now()).unwrap();
        conversations::save(&mut tx, &self.writer.notifier, &mut conversation).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(super) fn key(&self, conversation: Uuid, id: &str, text: &str) -> Key {
        let caller = Caller {
            account: self.account,
            kind: CallerKind::Agent,
            actor: Actor { kind: CallerKind::Agent, id: ADA.to_string() },
            name: None,
            email: None,
            permissions: Default::default(),
            scope: None,
            ends: None,
        };
        let conversation_id = conversation.to_string();
        let request = PostMessageRequest { conversation_id, text: text.into(), ..PostMessageRequest::default() };
        Key::new(&caller, id, &request)
    }

    /// Ada writes the text, which is also the request id.
    pub(super) fn message(&self, conversation: Uuid, text: &str) -> WriteRequest {
        self.message_of(ADA, conversation, text)
    }

    pub(super) fn message_of(&self, agent: Uuid, conversation: Uuid, text: &str) -> WriteRequest {
        WriteRequest {
            account: self.account,
            conversation,
            message: AppendMessage::Team {
                author: TeamMember::Agent(agent),
                message: Message { text: text.into(), ..Message::default() },
                request_id: text.into(),
                expected_epoch: None,
            },
            key: self.key(conversation, text, text),
        }
    }

    /// Writes them as one batch and returns their results.
    pub(super) async fn batch(&self, requests: Vec<WriteRequest>) -> Vec<WriteResult> {
        let (batch, answers): (Vec<_>, Vec<_>) = requests.into_iter().map(QueuedWrite::new).unzip();
        let mut locked = self.writer.write(batch).await;
        // PostgreSQL reports the error of a statement before it releases the statement's locks.
        for _ in 0..100 {
            if !locked.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                locked = self.writer.write(locked).await;
            }
        }
        assert!(locked.is_empty(), "no other transaction has locked a conversation");
        join_all(answers).await.into_iter().map(|answer| answer.unwrap()).collect()
    }

    pub(super) async fn thread(&self, id: Uuid) -> Vec<String> {
        let page = entries::list(self.writer.db.read(), self.account, id, 0, None, 10_000).await.unwrap();
        let texts = page.entries.into_iter().filter_map(|entry| match entry.content {
            Content::Message(Message { text, .. }) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    pub(super) async fn conversation(&self, id: Uuid) -> Conversation {
        conversations::find(self.writer.db.read(), self.account, id).await.unwrap().unwrap()
    }

    /// Aggregate and version of every event, in the order in which they are published.
    pub(super) async fn events(&self) -> Vec<(Uuid, i64)> {
        let conn = self.writer.db.read();
        let sql = "SELECT aggregate_id, version FROM outbox_events ORDER BY position";
        let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get("", "aggregate_id").unwrap(), row.try_get("", "version").unwrap())).collect()
    }

    /// Runs this once, in the next batch after it was loaded and before it is saved.
    pub(super) fn before_save(&mut self, then: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
        self.interrupt(Some(Box::new(then)));
    }

    /// Returns the number of batches that are loaded from now on.
    pub(super) fn count_loads(&mut self) -> Arc<AtomicU32> {
        self.interrupt(None)
    }

    fn interrupt(&mut self, before_save: Option<Interruption>) -> Arc<AtomicU32> {
        let (inner, loads) = (self.writer.store.clone(), Arc::new(AtomicU32::new(0)));
        let before_save = SyncMutex::new(before_save);
        self.writer.store = Arc::new(Interrupted { inner, before_save, loads: loads.clone() });
        loads
    }
}

type Interruption = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// The batches of the database, interrupted once before they are saved.
struct Interrupted {
    inner: Arc<dyn ConversationBatch>,
    before_save: SyncMutex<Option<Interruption>>,
    loads: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl ConversationBatch for Interrupted {
    async fn begin(&self, db: &Db, locking: Locking) -> Result<Tx, DbErr> {
        self.inner.begin(db, locking).await
    }

    async fn load(
        &self,
        tx: &Tx,
        wanted: &BatchRequest<'_>,
        locking: Locking,
    ) -> Result<(BatchRows, BatchContext), DbErr> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.inner.load(tx, wanted, locking).await
    }

    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        context: BatchContext,
    ) -> Result<Saved, DbErr> {
        let interruption = self.before_save.lock().unwrap().take();
        if let Some(interruption) = interruption {
            interruption().await;
        }
        self.inner.save_rows(tx, changed, rows, context).await
    }
}

pub(super) fn sequence(result: &WriteResult) -> i64 {
    match result {
        Ok(WriteOutcome::Appended(entry, _)) => entry.sequence,
        other => panic!("{other:?}"),
    }
}
