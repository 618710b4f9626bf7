//! Frontdesk in embedded mode on SQLite, and the baseline of P2: a writer of the same rows with rusqlite.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use frontdesk_bench::{
    messages::{CONVERSATIONS, Messages, conversation_id},
    raw::Client,
};
use rusqlite::{Connection, TransactionBehavior, params};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    deployment::{AgentChannel, CONNECTIONS, connect as connect_agent},
    fixture::{ACCOUNT, AGENT, CHANNEL, Tokens, sample_content, sample_event},
    process::{Binary, Environment, Process, common_environment},
};

/// Number of messages that the baseline commits in one transaction.
const BATCH: usize = 32;

/// `frontdesk serve all` with its default settings.
pub struct Embedded {
    process: Process,
    tokens: Tokens,
    folder: TempDir,
    /// The agent's requests.
    pub messages: Arc<Messages>,
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn connect(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
}

impl Embedded {
    /// Starts the binary. The database of the baseline is a copy of the conversation database before the first message.
    pub async fn start(binary: Binary) -> Self {
        Self::start_with(binary, Environment::new()).await
    }

    /// The same, with further settings.
    pub async fn start_with(mut binary: Binary, settings: Environment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = common_environment(folder.path());
        environment.extend(settings);
        binary.drop_unknown_settings(&environment);
        binary.migrate(&environment);
        insert_conversations(&file(&folder, "conversation.db"));
        std::fs::copy(file(&folder, "conversation.db"), file(&folder, "limits.db")).unwrap();
        let process = binary.serve("all", folder.path(), &environment).await;
        let tokens = Tokens::new(folder.path());
        tokens.create_agent(&process.address).await;
        Self { process, tokens, folder, messages: Messages::new("bench").into() }
    }

    /// A client with the agent's token.
    pub async fn client(&self) -> Client {
        Client::connect(std::slice::from_ref(&self.process.address), CONNECTIONS, &self.tokens.agent()).await.unwrap()
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// A connection of the agent.
    pub async fn channel(&self) -> AgentChannel {
        connect_agent(&self.process.address, &self.tokens.agent()).await
    }

    /// Waits until the outbox is published; returns how long that took.
    ///
    /// # Panics
    /// If it takes longer than five minutes.
    pub async fn drain_outbox(&self) -> Duration {
        let began = Instant::now();
        let database = connect(&file(&self.folder, "conversation.db"));
        // As in the deployment on PostgreSQL.
        let has_progress = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'outbox_progress')";
        let has_unpublished = match database.query_row(has_progress, [], |row| row.get::<_, bool>(0)).unwrap() {
            true => {
                "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress))"
            }
            false => "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE published_at IS NULL)",
        };
        while database.query_row(has_unpublished, [], |row| row.get::<_, bool>(0)).unwrap() {
            assert!(began.elapsed() < Duration::from_secs(300), "the outbox does not drain");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    /// Messages per second that the baseline commits.
    pub async fn baseline_rate(&self, length: Duration) -> f64 {
        let file = file(&self.folder, "limits.db");
        tokio::task::spawn_blocking(move || baseline_rate(&file, length)).await.unwrap()
    }
}

fn conversation(number: u64) -> Uuid {
    conversation_id(number).parse().unwrap()
}

fn insert_conversations(file: &Path) {
    let mut database = connect(file);
    let tx = database.transaction().unwrap();
    for number in 0..CONVERSATIONS {
        tx.execute(
            "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, assignee_kind,
                assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number,
                created_at, last_visitor_activity_at, last_activity_at, version)
            VALUES (?1, ?2, ?3, 'visitor-' || ?4, 'OPEN', 'https://shop.example/page', 'The page', 'AGENT', ?5, 2, 0, 1, 0, 0,
                0, ?6, ?6, ?6, 0)",
            params![
                conversation(number).as_bytes(),
                ACCOUNT.as_bytes(),
                CHANNEL.as_bytes(),
                i64::try_from(number).unwrap(),
                AGENT.as_bytes(),
                now(),
            ],
        )
        .unwrap();
    }
    tx.commit().unwrap();
}

fn now() -> i64 {
    frontdesk_clock::Clock::system().now().0
}

fn baseline_rate(file: &Path, length: Duration) -> f64 {
    let mut database = connect(file);
    let messages = Messages::new("baseline");
    let (content, event) = (sample_content(), sample_event());
    let (began, mut written) = (Instant::now(), 0_usize);
    while began.elapsed() < length {
        let tx = database.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        for _ in 0..BATCH {
            write(&tx, conversation(Messages::conversation_of(messages.next().0)), &content, &event);
        }
        tx.commit().unwrap();
        written += BATCH;
    }
    written as f64 / began.elapsed().as_secs_f64()
}

/// The three row changes of a posted message: conversation, entry, outbox event.
fn write(tx: &Connection, conversation: Uuid, content: &str, event: &[u8]) {
    let now = now();
    let mut update = tx
        .prepare_cached(
            "UPDATE conversations SET last_sequence = last_sequence + 1, last_visitor_sequence = last_visitor_sequence + 1,
                last_activity_at = ?3, version = version + 1
            WHERE id = ?1 AND account_id = ?2 AND status = 'OPEN'
            RETURNING last_sequence, last_visitor_sequence, version",
        )
        .unwrap();
    let numbers = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (sequence, visitor_sequence, version): (i64, i64, i64) =
        update.query_row(params![conversation.as_bytes(), ACCOUNT.as_bytes(), now], numbers).unwrap();
    let mut entry = tx
        .prepare_cached(
            "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                created_at)
            VALUES (?1, ?2, ?3, ?4, 'AGENT', ?5, ?6, ?7)",
        )
        .unwrap();
    let author = AGENT.to_string();
    entry
        .execute(params![conversation.as_bytes(), sequence, visitor_sequence, ACCOUNT.as_bytes(), author, content, now])
        .unwrap();
    let mut outbox = tx
        .prepare_cached(
            "INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )
        .unwrap();
    let id = frontdesk_clock::testing::new_id();
    let row = params![id.as_bytes(), ACCOUNT.as_bytes(), conversation.as_bytes(), version, event, now];
    outbox.execute(row).unwrap();
}
