//! Q2: routing with many conversations that wait. `Q2`: agents get many places at once, until each has a conversation. Baseline: bare SQL
//! that claims the conversations, changes the same rows of both databases, and confirms. `Q2_late`: conversations are closed at a steady
//! rate: from each close until the place is used.

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::CloseConversationRequest;
use futures::future::join_all;
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use uuid::Uuid;

use super::{Plan, print_round};
use crate::{
    deployment::{BASELINE_ASSIGNMENT, BASELINE_DATABASE, CONNECTIONS, Deployment},
    fixture::{ACCOUNT, ROUTED_TO, WaitingConversations, agents_without_places, sample_event},
    load::LoadResult,
    report::{Goal, Round, Row},
};

/// Number of agents.
const AGENTS: u32 = 20;
/// Number of places that agents get at once, for each second of the plan.
const AT_ONCE: u32 = 400;
/// Number of conversations that are closed in a second in `Q2_late`.
const PER_SECOND: u32 = 20;
/// Number of conversations that the baseline claims at once: as many as a decision of the service is about.
const CLAIM: i64 = 100;
/// Maximum time from a close until the place is used, at the 99th percentile (milliseconds).
const LIMIT: f64 = 250.0;
/// Maximum time until the places are used.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Interval between two looks at the queue.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The two databases of an assignment.
struct Databases {
    conversations: PgConnection,
    assignment: PgConnection,
}

impl Databases {
    async fn connect(deployment: &Deployment, conversations: &str, assignment: &str) -> Self {
        let connect = async |name: &str| PgConnection::connect(&deployment.postgres.url(name)).await.unwrap();
        Self { conversations: connect(conversations).await, assignment: connect(assignment).await }
    }

    /// Adds conversations that wait. First the others, so that none is routed before its row exists.
    async fn insert(&mut self, waiting: WaitingConversations) {
        execute(&mut self.conversations, waiting.conversations()).await;
        execute(&mut self.assignment, waiting.owners()).await;
        execute(&mut self.assignment, waiting.queue()).await;
    }

    async fn prepare(&mut self, waiting: WaitingConversations) {
        self.insert(waiting).await;
        for statement in agents_without_places(AGENTS) {
            execute(&mut self.assignment, statement).await;
        }
        for database in [&mut self.conversations, &mut self.assignment] {
            execute(database, "VACUUM ANALYZE".into()).await;
        }
    }

    /// Number of conversations that wait, also with a reserved place.
    async fn queued(&mut self) -> i64 {
        number(&mut self.assignment, "SELECT count(*) FROM routing_queue WHERE state IN (1, 2)").await
    }
}

/// Measures the rows with this number of conversations that wait at the end of each round.
pub async fn run(deployment: &Deployment, plan: Plan, waiting: u32) -> [Row; 2] {
    let (conversation, assignment) = (deployment.database_of("conversation"), deployment.database_of("assignment"));
    let mut service = Databases::connect(deployment, &conversation, &assignment).await;
    let mut baseline = Vec::new();
    for _ in 0..CONNECTIONS {
        baseline.push(Databases::connect(deployment, BASELINE_DATABASE, BASELINE_ASSIGNMENT).await);
    }
    let mut next = 0;
    let mut take = |count: u32| {
        next += count;
        WaitingConversations { first: next - count, count }
    };
    let first = take(waiting);
    for databases in [&mut service, &mut baseline[0]] {
        databases.prepare(first).await;
    }
    let seconds = u32::try_from(plan.length.as_secs()).unwrap_or(1).max(1);
    let places = AT_ONCE * seconds;
    let warm_up = take(places);
    route(deployment, &mut service, warm_up).await;
    route_by_sql(&mut baseline, warm_up).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let more = take(places);
        let baseline = route_by_sql(&mut baseline, more).await;
        let value = route(deployment, &mut service, more).await;
        let round = Round { value, baseline, more: Vec::new() };
        print_round("Q2", number, &round);
        rounds.push(round);
    }
    let what = "places that are free at once, until each has a conversation; the same claims and updates by bare SQL";
    let routed = Row { name: "Q2", what, unit: "assignments/s", goal: Goal::AtLeast(0.5), rounds };
    let what = "p99 from a close until the place is used, 20 closes a second; the limit";
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let late = lateness(deployment, &mut service, take(PER_SECOND * seconds), plan.length).await;
        let more = vec![("p50_ms", late.latency(500)), ("max_ms", late.latency(1_000))];
        let round = Round { value: late.latency(990), baseline: LIMIT, more };
        print_round("Q2_late", number, &round);
        rounds.push(round);
    }
    [routed, Row { name: "Q2_late", what, unit: "ms", goal: Goal::AtMost(1.0), rounds }]
}

/// Gives the agents as many places as there are new conversations that wait. Returns the assignments per second until all are used.
async fn route(deployment: &Deployment, databases: &mut Databases, more: WaitingConversations) -> f64 {
    let count = i64::from(more.count);
    let queued = databases.queued().await;
    databases.insert(more).await;
    deployment.drain_outbox(&mut databases.conversations).await;
    let began = number(&mut databases.assignment, NOW).await;
    // In one statement, as each change that wakes routing; the agents are locked before their account, as there.
    let raise = format!(
        "WITH raised AS (
            UPDATE agents SET capacity = capacity + {places} WHERE account_id = '{ACCOUNT}' AND id::text LIKE '{ROUTED_TO}%' RETURNING 1
        )
        UPDATE routing_accounts SET look_at = {began}
        WHERE account_id = '{ACCOUNT}' AND (SELECT count(*) FROM raised) > 0",
        places = count / i64::from(AGENTS)
    );
    execute(&mut databases.assignment, raise).await;
    wait_until_queued(databases, queued).await;
    let last = number(&mut databases.assignment, "SELECT max(started_at) FROM assignments WHERE cause = 5").await;
    count as f64 / (last - began) as f64 * 1e6
}

/// Closes conversations of the agents at a steady rate, and adds as many that wait. From each close until the next conversation has an
/// agent: all places are used, so the close with this number frees the place of the assignment with this number.
async fn lateness(
    deployment: &Deployment,
    databases: &mut Databases,
    more: WaitingConversations,
    length: Duration,
) -> LoadResult {
    let queued = databases.queued().await;
    databases.insert(more).await;
    deployment.drain_outbox(&mut databases.conversations).await;
    let own = format!(
        "SELECT conversation_id FROM conversation_owners WHERE account_id = '{ACCOUNT}' AND open
            AND agent_id::text LIKE '{ROUTED_TO}%' LIMIT {}",
        more.count
    );
    let own = sqlx::query_scalar::<_, Uuid>(sqlx::AssertSqlSafe(own));
    let own = own.fetch_all(&mut databases.assignment).await.unwrap();
    assert_eq!(own.len(), more.count as usize, "the agents have enough conversations");
    let began = number(&mut databases.assignment, NOW).await;
    let mut inbox = deployment.inbox().await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for conversation in &own {
        ticks.tick().await;
        let close = CloseConversationRequest { conversation_id: conversation.to_string(), ..Default::default() };
        inbox.close_conversation(close).await.unwrap();
    }
    wait_until_queued(databases, queued).await;
    let closed =
        sqlx::query_scalar::<_, i64>("SELECT closed_at FROM conversations WHERE id = ANY($1) ORDER BY closed_at");
    let closed = closed.bind(&own).fetch_all(&mut databases.conversations).await.unwrap();
    let used = "SELECT started_at FROM assignments WHERE cause = 5 AND started_at >= $1 ORDER BY started_at";
    let used = sqlx::query_scalar::<_, i64>(used).bind(began).fetch_all(&mut databases.assignment).await.unwrap();
    assert_eq!(closed.len(), used.len(), "each freed place is used once");
    let late = closed
        .into_iter()
        .zip(used)
        .map(|(closed, used)| u64::try_from(used - closed).expect("no place is used before it is free") * 1_000);
    LoadResult::new(length, late.collect())
}

/// Waits until the queue has this number of rows, none of them with a reserved place.
async fn wait_until_queued(databases: &mut Databases, queued: i64) {
    let began = Instant::now();
    while databases.queued().await > queued {
        assert!(began.elapsed() < TIMEOUT, "the places are not used");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The time in microseconds.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Reserves places for the conversations that wait the longest, under the lock of the account.
const CLAIM_SQL: &str = "WITH account AS (
        SELECT account_id FROM routing_accounts WHERE account_id = $1 FOR UPDATE
    ), head AS (
        SELECT conversation_id FROM routing_queue WHERE account_id = (SELECT account_id FROM account) AND state = 1
            AND policy_id IS NULL ORDER BY waiting_since, conversation_id LIMIT $2 FOR UPDATE
    )
    UPDATE routing_queue SET state = 2, agent_id = $3, check_at = waiting_since + 5000000 FROM head
    WHERE routing_queue.account_id = $1 AND routing_queue.conversation_id = head.conversation_id
    RETURNING routing_queue.conversation_id";

/// Changes the owner of a conversation, with an entry and an event.
const CHANGE_SQL: &str = "WITH conversation AS (
        UPDATE conversations SET assignee_kind = 'AGENT', assignee_id = $2, epoch = epoch + 1, had_agent = TRUE,
            last_sequence = last_sequence + 1, last_visitor_sequence = last_visitor_sequence + 1,
            last_activity_at = last_activity_at + 1, version = version + 1
        WHERE id = $1 AND account_id = $3 AND epoch = 1 AND status = 'OPEN' RETURNING *
    ), entry AS (
        INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content, created_at)
        SELECT id, last_sequence, last_visitor_sequence, account_id, 'SYSTEM', '', '{\"type\":\"assignee_changed\"}',
            last_activity_at FROM conversation
    )
    INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
    SELECT gen_random_uuid(), account_id, id, version, $4, last_activity_at, last_activity_at FROM conversation";

/// Records the owner in place of the reservation.
const CONFIRM_SQL: &str = "WITH assignment AS (
        INSERT INTO assignments (account_id, conversation_id, epoch, owner_kind, owner_id, by_kind, by_id, cause, started_at)
        VALUES ($3, $1, 2, 1, $2::uuid::text, 3, '', 5, 0)
    ), owner AS (
        UPDATE conversation_owners SET agent_id = $2, epoch = 2 WHERE account_id = $3 AND conversation_id = $1
    )
    DELETE FROM routing_queue WHERE account_id = $3 AND conversation_id = $1 AND epoch = 1";

/// Assignments per second that these statements make: claims one after the other, the rest over all connections.
async fn route_by_sql(databases: &mut [Databases], more: WaitingConversations) -> f64 {
    databases[0].insert(more).await;
    let (event, began, mut left) = (sample_event(), Instant::now(), i64::from(more.count));
    for turn in 0.. {
        let agent: Uuid = format!("{ROUTED_TO}-{}", 100_000_000_001 + turn % u64::from(AGENTS)).parse().unwrap();
        let claim = sqlx::query_scalar::<_, Uuid>(CLAIM_SQL).bind(ACCOUNT).bind(left.min(CLAIM)).bind(agent);
        let claimed = claim.fetch_all(&mut databases[0].assignment).await.unwrap();
        left -= i64::try_from(claimed.len()).unwrap();
        let shares = claimed.chunks(claimed.len().div_ceil(databases.len()).max(1));
        let settling = databases.iter_mut().zip(shares).map(|(databases, share)| {
            let event = &event;
            async move {
                for conversation in share {
                    let change = sqlx::query(CHANGE_SQL).bind(conversation).bind(agent).bind(ACCOUNT).bind(event);
                    change.execute(&mut databases.conversations).await.unwrap();
                    let confirm = sqlx::query(CONFIRM_SQL).bind(conversation).bind(agent).bind(ACCOUNT);
                    confirm.execute(&mut databases.assignment).await.unwrap();
                }
            }
        });
        join_all(settling).await;
        if left == 0 || claimed.is_empty() {
            break;
        }
    }
    f64::from(more.count) / began.elapsed().as_secs_f64()
}

async fn number(database: &mut PgConnection, statement: &'static str) -> i64 {
    sqlx::query_scalar::<_, i64>(statement).fetch_one(database).await.unwrap()
}

async fn execute(database: &mut PgConnection, statement: String) {
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(database).await.unwrap();
}
