//! The baseline of pages of the inbox: the same rows by a statement that is written by hand for this list.
//!
//! It answers what the call answers: the conversations, the newest message or comment of each, the names of the visitor, of the owner and of
//! the entry's author, and the number of entries that the agent has not read. It is read as the service must read it: by the role of the
//! service, to which row-level security applies, in a transaction for the account. The statement is prepared once and planned once, since
//! it has no parameters. Neither side's time includes the end of the transaction, which both send when they have the rows, nor the
//! decoding of the rows by the client.
//!
//! Until November 2026 the baseline was [`bare_rows`] as the superuser: without the policies, the transaction and the names of bots, authors,
//! administrators and visitors. Its figure is kept beside the other one (`bare_ms`).

use std::time::{Duration, Instant};

use frontdesk_test_servers::ROLE;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    deployment::Deployment,
    fixture::{ACCOUNT, AGENT},
    load::{LoadResult, nanoseconds_since},
};

/// Whether an entry is a message or a comment.
const IS_WRITTEN: &str = r#"(content LIKE '{"type":"message",%' OR content LIKE '{"type":"comment",%')"#;

/// The connections of the baseline.
pub struct Baseline {
    service: PgConnection,
    superuser: PgConnection,
    begin: String,
}

impl Baseline {
    /// Connects to the conversation database.
    pub async fn connect(deployment: &Deployment) -> Self {
        let (port, database) = (deployment.postgres.port, deployment.database_of("conversation"));
        let service = PgConnection::connect(&format!("postgres://{ROLE}@127.0.0.1:{port}/{database}")).await.unwrap();
        let begin = format!("BEGIN READ ONLY; SET LOCAL frontdesk.account = '{ACCOUNT}'");
        Self { service, superuser: deployment.database().await, begin }
    }

    /// Selects the page again and again, each time in a transaction for the account.
    ///
    /// # Panics
    /// If it does not have this number of rows.
    pub async fn select(&mut self, page: &str, rows: usize, length: Duration) -> LoadResult {
        let (began, mut latencies) = (Instant::now(), Vec::new());
        while began.elapsed() < length {
            let sent = Instant::now();
            sqlx::raw_sql(AssertSqlSafe(self.begin.clone())).execute(&mut self.service).await.unwrap();
            let page = sqlx::query(AssertSqlSafe(page.to_owned())).fetch_all(&mut self.service).await.unwrap();
            latencies.push(nanoseconds_since(sent));
            sqlx::raw_sql("ROLLBACK").execute(&mut self.service).await.unwrap();
            assert_eq!(page.len(), rows);
        }
        LoadResult::new(began.elapsed(), latencies)
    }

    /// The same by the superuser, to whom the policies do not apply, without a transaction.
    ///
    /// # Panics
    /// As [`Self::select`].
    pub async fn select_bare(&mut self, page: &str, rows: usize, length: Duration) -> LoadResult {
        let (began, mut latencies) = (Instant::now(), Vec::new());
        while began.elapsed() < length {
            let sent = Instant::now();
            let page = sqlx::query(AssertSqlSafe(page.to_owned())).fetch_all(&mut self.superuser).await.unwrap();
            latencies.push(nanoseconds_since(sent));
            assert_eq!(page.len(), rows);
        }
        LoadResult::new(began.elapsed(), latencies)
    }
}

/// The conversations that a statement selects, each with what a row of the inbox shows of it.
///
/// A visitor has the name of their own contact, unless visitors with different names share it. What only some rows have is looked up for them
/// alone.
pub fn rows(conversations: &str) -> String {
    let name = |table: &str, id: &str| {
        format!("(SELECT name FROM {table} WHERE {table}.account_id = conversation.account_id AND {table}.{id})")
    };
    let (owner, author) = ("id = conversation.assignee_id", "id = entry.author_id::uuid");
    format!(
        "SELECT conversation.*, entry.*, mark.sequence, unread.count, visitor.name, visitor.link, contact.name,
            CASE assignee_kind WHEN 'AGENT' THEN {agent} WHEN 'BOT' THEN {bot} END,
            CASE entry.author_kind WHEN 'AGENT' THEN {agent_author} WHEN 'BOT' THEN {bot_author}
                WHEN 'ADMIN' THEN {administrator} END,
            (SELECT min(name) <> max(name) FROM visitors WHERE visitors.account_id = conversation.account_id
                AND visitors.contact_id = conversation.contact_id AND visitors.link = 'OWN' AND visitors.name <> '')
        FROM ({conversations}) AS conversation
        {newest}
        LEFT JOIN contacts AS contact ON contact.id = conversation.contact_id
        LEFT JOIN visitors AS visitor ON visitor.account_id = conversation.account_id
            AND visitor.id = CASE WHEN conversation.contact_id IS NOT NULL THEN conversation.visitor_id END
        {mark_and_unread}",
        agent = name("agents", owner),
        bot = name("bots", owner),
        agent_author = name("agents", author),
        bot_author = name("bots", author),
        administrator = name("administrators", "subject = entry.author_id"),
        newest = newest(),
        mark_and_unread = mark_and_unread(),
    )
}

/// The conversations that a statement selects, with less than a row of the inbox shows: of the names only those of agents and contacts.
pub fn bare_rows(conversations: &str) -> String {
    format!(
        "SELECT conversation.*, entry.*, assignee.name, contact.name, mark.sequence, unread.count
        FROM ({conversations}) AS conversation
        {newest}
        LEFT JOIN agents AS assignee ON assignee.account_id = conversation.account_id AND assignee.id = conversation.assignee_id
        LEFT JOIN contacts AS contact ON contact.id = conversation.contact_id
        {mark_and_unread}",
        newest = newest(),
        mark_and_unread = mark_and_unread(),
    )
}

fn newest() -> String {
    format!(
        "LEFT JOIN LATERAL (SELECT * FROM entries WHERE conversation_id = conversation.id AND {IS_WRITTEN}
            ORDER BY sequence DESC LIMIT 1) AS entry ON true"
    )
}

fn mark_and_unread() -> String {
    format!(
        "LEFT JOIN read_marks AS mark ON mark.account_id = conversation.account_id AND mark.agent_id = '{AGENT}'
            AND mark.conversation_id = conversation.id
        LEFT JOIN LATERAL (SELECT count(*) FROM (SELECT 1 FROM entries WHERE conversation_id = conversation.id
            AND sequence > coalesce(mark.sequence, 0) AND {IS_WRITTEN}
            AND NOT (author_kind = 'AGENT' AND author_id = '{AGENT}') LIMIT 100) AS counted) AS unread ON true"
    )
}
