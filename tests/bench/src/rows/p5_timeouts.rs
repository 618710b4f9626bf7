//! P5: timeouts of bot sessions, beside many that are not due. `P5`: a number of them due at once, until the last conversation is
//! closed. Baseline: bare SQL that claims them, changes the same rows of both databases, and ends them. `P5_late`: at a steady
//! rate, how late the conversations are closed, while the visitors of as many other sessions wrote in time (row R6). `P5_burst`: how
//! long a large number takes that is due in one second (row R7).

use std::time::{Duration, Instant};

use frontdesk_clock::Clock;
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use uuid::Uuid;

use super::{Plan, print_round};
use crate::{
    deployment::{BASELINE_DATABASE, Deployment},
    fixture::{ACCOUNT, BotSessions, sample_event},
    load::LoadResult,
    report::{Goal, Round, Row},
};

/// Number of sessions that are due at once, for each second of the plan.
const AT_ONCE: u32 = 2_000;
/// Number of sessions that are due in a second in `P5_late`; the visitors of as many others wrote.
const PER_SECOND: u32 = 300;
/// Number of sessions that the baseline claims at once: as many as the service.
const CLAIM: i64 = 500;
/// Maximum lateness at the 99th percentile, in milliseconds (row R6).
const LIMIT: f64 = 1_000.0;
/// How much longer a burst may take than the same statements by bare SQL, in seconds (row R7).
const BURST_MARGIN: f64 = 5.0;
/// Interval in which the deadlines of a burst are spread (microseconds).
const BURST_INTERVAL: i64 = 1_000_000;
/// How long before the first deadline the sessions are inserted.
const AHEAD: Duration = Duration::from_secs(5);
/// Maximum time until the conversations are closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(300);
/// One hour, in microseconds.
pub(super) const HOUR: i64 = 3_600_000_000;
/// Copy of the bot-session database for the baseline.
const BASELINE_SESSIONS: &str = "limits_bot_session";

/// The two databases of a timeout.
pub(super) struct Databases {
    conversations: PgConnection,
    sessions: PgConnection,
}

impl Databases {
    pub(super) async fn connect(deployment: &Deployment, conversations: &str, sessions: &str) -> Self {
        let connect = async |name: &str| PgConnection::connect(&deployment.postgres.url(name)).await.unwrap();
        Self { conversations: connect(conversations).await, sessions: connect(sessions).await }
    }

    pub(super) async fn insert(&mut self, sessions: BotSessions) {
        // First the conversations: a session whose conversation is missing ends.
        execute(&mut self.conversations, sessions.conversations()).await;
        execute(&mut self.sessions, sessions.sessions()).await;
    }

    pub(super) async fn delete(&mut self, sessions: BotSessions) {
        for (database, table, column) in
            [(&mut self.sessions, "bot_sessions", "id"), (&mut self.conversations, "conversations", "bot_session_id")]
        {
            execute(database, format!("DELETE FROM {table} WHERE {}", sessions.condition(column))).await;
        }
    }

    pub(super) async fn analyze(&mut self) {
        for database in [&mut self.conversations, &mut self.sessions] {
            execute(database, "VACUUM ANALYZE".into()).await;
        }
    }
}

/// Measures the rows beside this number of sessions that are not due, with this number in a burst.
pub async fn run(deployment: &mut Deployment, plan: Plan, open: u32, burst: u32) -> [Row; 3] {
    let (conversation, bot_session) = (deployment.database_of("conversation"), deployment.database_of("bot_session"));
    let copy = format!("CREATE DATABASE {BASELINE_SESSIONS} TEMPLATE {bot_session}");
    deployment.postgres.psql("postgres", &copy).await;
    let mut service = Databases::connect(deployment, &conversation, &bot_session).await;
    let mut baseline = Databases::connect(deployment, BASELINE_DATABASE, BASELINE_SESSIONS).await;
    let mut numbers = Numbers { next: 0 };
    let others = numbers.take(open, now() + 24 * HOUR, 0, 0);
    for databases in [&mut service, &mut baseline] {
        databases.insert(others).await;
        databases.analyze().await;
    }
    deployment.start_bot_session().await;
    let due = AT_ONCE * u32::try_from(plan.length.as_secs()).unwrap_or(1).max(1);
    settle(&mut service, &mut numbers, due / 2).await;
    settle_by_sql(&mut baseline, &mut numbers, due / 2).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = settle_by_sql(&mut baseline, &mut numbers, due).await;
        let value = settle(&mut service, &mut numbers, due).await;
        let round = Round { value, baseline, more: Vec::new() };
        print_round("P5", number, &round);
        rounds.push(round);
    }
    let what = "timeouts that are due at once; the same claims and updates by bare SQL";
    let settled = Row { name: "P5", what, unit: "timeouts/s", goal: Goal::AtLeast(0.7), rounds };
    let what = "p99 of the lateness, 300 due and 300 pushed back per second; the limit";
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let late = lateness(&mut service, &mut numbers, plan.length).await;
        let more = vec![("p50_ms", late.latency(500)), ("max_ms", late.latency(1_000))];
        let round = Round { value: late.latency(990), baseline: LIMIT, more };
        print_round("P5_late", number, &round);
        rounds.push(round);
    }
    let late = Row { name: "P5_late", what, unit: "ms", goal: Goal::AtMost(1.0), rounds };
    let what = "timeouts that are due in one second, until the last has ended; bare SQL and 5 s";
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let by_sql = f64::from(burst) / settle_by_sql(&mut baseline, &mut numbers, burst).await;
        let value = settle_burst(&mut service, &mut numbers, burst).await;
        let round = Round { value, baseline: by_sql + BURST_MARGIN, more: vec![("sql_s", by_sql)] };
        print_round("P5_burst", number, &round);
        rounds.push(round);
    }
    [settled, late, Row { name: "P5_burst", what, unit: "s", goal: Goal::AtMost(1.0), rounds }]
}

/// Numbers the sessions of a run.
struct Numbers {
    next: u32,
}

impl Numbers {
    fn take(&mut self, count: u32, deadline: i64, interval: i64, pushed_back: i64) -> BotSessions {
        let first = self.next;
        self.next += count;
        BotSessions { first, count, deadline, interval, pushed_back }
    }
}

/// Timeouts per second, from the common deadline until the last session has ended.
async fn settle(databases: &mut Databases, numbers: &mut Numbers, count: u32) -> f64 {
    let deadline = now() + micros(AHEAD);
    let due = numbers.take(count, deadline, 0, 0);
    f64::from(count) / (last_end(databases, due).await - deadline) as f64 * 1e6
}

/// Seconds from the first deadline of a burst until its last session has ended.
async fn settle_burst(databases: &mut Databases, numbers: &mut Numbers, count: u32) -> f64 {
    // Storing this number takes longer than the time before the deadlines of the other rows.
    let ahead = AHEAD * (1 + count / 10_000);
    let deadline = now() + micros(ahead);
    let due = numbers.take(count, deadline, BURST_INTERVAL / i64::from(count.max(1)), 0);
    (last_end(databases, due).await - deadline) as f64 / 1e6
}

/// Inserts the sessions. Returns when the last one ended (microseconds since 1970).
///
/// # Panics
/// If they were due before all were stored.
async fn last_end(databases: &mut Databases, due: BotSessions) -> i64 {
    databases.insert(due).await;
    assert!(now() < due.deadline, "storing the sessions took longer than the time until they are due");
    wait_until_ended(databases, due).await;
    let last = format!("SELECT max(ended_at) FROM bot_sessions WHERE {}", due.condition("id"));
    sqlx::query_scalar(sqlx::AssertSqlSafe(last)).fetch_one(&mut databases.sessions).await.unwrap()
}

/// How late the conversations were closed, with a steady rate of sessions that are due.
///
/// # Panics
/// If a conversation was closed before its visitor had been silent for the timeout.
async fn lateness(databases: &mut Databases, numbers: &mut Numbers, length: Duration) -> LoadResult {
    let count = PER_SECOND * u32::try_from(length.as_secs()).unwrap_or(1).max(1);
    let (deadline, interval) = (now() + micros(AHEAD), 1_000_000 / i64::from(PER_SECOND));
    let due = numbers.take(count, deadline, interval, 0);
    // Their conversations answer that the visitor wrote since.
    let pushed_back = numbers.take(count, deadline, interval, HOUR);
    for sessions in [due, pushed_back] {
        databases.insert(sessions).await;
    }
    wait_until_ended(databases, due).await;
    let late = format!(
        "SELECT closed_at - last_visitor_activity_at - bot_timeout_us FROM conversations WHERE {}",
        due.condition("bot_session_id")
    );
    let late = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(late));
    let late = late.fetch_all(&mut databases.conversations).await.unwrap();
    LoadResult::new(
        length,
        late.into_iter().map(|us| u64::try_from(us).expect("no chat is closed early") * 1_000).collect(),
    )
}

async fn wait_until_ended(databases: &mut Databases, sessions: BotSessions) {
    let began = Instant::now();
    let open =
        format!("SELECT EXISTS (SELECT 1 FROM bot_sessions WHERE status = 'OPEN' AND {})", sessions.condition("id"));
    while sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(open.clone()))
        .fetch_one(&mut databases.sessions)
        .await
        .unwrap()
    {
        assert!(began.elapsed() < CLOSE_TIMEOUT, "the timeouts are not settled");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Claims sessions, and defers their next check.
const CLAIM_SQL: &str = "WITH due AS (
        SELECT id FROM bot_sessions WHERE status = 'OPEN' AND ask_at <= $1 ORDER BY ask_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE bot_sessions SET ask_at = $1 + 3000000 FROM due WHERE bot_sessions.id = due.id
    RETURNING bot_sessions.id, bot_sessions.conversation_id";

/// Closes conversations, with an entry, the facts of the close and an event each.
const CLOSE_SQL: &str = "WITH conversation AS (
        UPDATE conversations SET status = 'CLOSED', bot_in_charge = FALSE, close_number = close_number + 1,
            close_reason = 'VISITOR_INACTIVE', closed_at = $2, last_sequence = last_sequence + 1,
            last_visitor_sequence = last_visitor_sequence + 1, last_activity_at = $2, version = version + 1
        WHERE id = ANY($1) AND account_id = $3 RETURNING *
    ), entry AS (
        INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content, created_at)
        SELECT id, last_sequence, last_visitor_sequence, account_id, 'SYSTEM', '',
            '{\"type\":\"closed\",\"reason\":\"VISITOR_INACTIVE\",\"close_number\":1}', $2 FROM conversation
    ), facts AS (
        INSERT INTO closes (conversation_id, close_number, account_id, recipient_verified, had_bot_session, had_agent, had_ticket,
            transcript_enabled, last_sequence)
        SELECT id, close_number, account_id, FALSE, TRUE, FALSE, FALSE, TRUE, last_sequence FROM conversation
    )
    INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
    SELECT gen_random_uuid(), account_id, id, version, $4, $2, $2 FROM conversation";

/// Ends sessions, with an event each.
const END_SQL: &str = "WITH session AS (
        UPDATE bot_sessions SET status = 'TIMED_OUT', deadline_at = NULL, ask_at = NULL, ended_at = $2, version = version + 1
        WHERE id = ANY($1) RETURNING id, account_id, version
    )
    INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
    SELECT gen_random_uuid(), account_id, id, version, $3, $2, $2 FROM session";

/// Timeouts per second that these statements settle.
async fn settle_by_sql(databases: &mut Databases, numbers: &mut Numbers, count: u32) -> f64 {
    let due = numbers.take(count, now(), 0, 0);
    databases.insert(due).await;
    let (event, began) = (sample_event(), Instant::now());
    loop {
        let claim = sqlx::query_as::<_, (Uuid, Uuid)>(CLAIM_SQL).bind(now()).bind(CLAIM);
        let claimed = claim.fetch_all(&mut databases.sessions).await.unwrap();
        if claimed.is_empty() {
            return f64::from(count) / began.elapsed().as_secs_f64();
        }
        let (sessions, conversations): (Vec<Uuid>, Vec<Uuid>) = claimed.into_iter().unzip();
        let close = sqlx::query(CLOSE_SQL).bind(conversations).bind(now()).bind(ACCOUNT).bind(&event);
        close.execute(&mut databases.conversations).await.unwrap();
        let end = sqlx::query(END_SQL).bind(sessions).bind(now()).bind(&event);
        end.execute(&mut databases.sessions).await.unwrap();
    }
}

async fn execute(database: &mut PgConnection, statement: String) {
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(database).await.unwrap();
}

pub(super) fn now() -> i64 {
    Clock::system().now().0
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}
