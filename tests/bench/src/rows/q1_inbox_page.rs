//! Q1: a page of the inbox among many conversations. Baseline: the same rows by hand-written SQL. `Q1_page_1000` is page 1,000;
//! its baseline is page 1.

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::{
    AssigneeFilter, ConversationStatus, ListConversationsRequest,
    assignee_filter::{Assignee, Me, Unassigned},
};
use sea_orm::sqlx::{self, PgConnection};

use super::{Plan, print_round};
use crate::{
    deployment::{Deployment, Inbox},
    fixture::{self, ACCOUNT, AGENT, CHANNEL},
    load::{LoadResult, nanoseconds_since},
    report::{Goal, Round, Row},
};

/// Number of rows of a page.
pub(super) const PAGE: i32 = 50;

/// A filter of the inbox, as the request and as the condition of the baseline.
struct Filter {
    name: &'static str,
    what: &'static str,
    request: ListConversationsRequest,
    condition: String,
}

fn filters() -> Vec<Filter> {
    let open = || vec![ConversationStatus::Open.into()];
    let of = |assignee| vec![AssigneeFilter { assignee: Some(assignee) }];
    let request = || ListConversationsRequest { page_size: PAGE, ..Default::default() };
    let is_open = "status = 'OPEN'";
    vec![
        Filter {
            name: "Q1_open",
            what: "a page of the open conversations; hand-written SQL",
            request: ListConversationsRequest { statuses: open(), ..request() },
            condition: is_open.into(),
        },
        Filter {
            name: "Q1_me",
            what: "a page of the agent's open conversations; hand-written SQL",
            request: ListConversationsRequest { statuses: open(), assignees: of(Assignee::Me(Me {})), ..request() },
            condition: format!("{is_open} AND assignee_id = '{AGENT}'"),
        },
        Filter {
            name: "Q1_free",
            what: "a page of the unassigned open conversations; hand-written SQL",
            request: ListConversationsRequest {
                statuses: open(),
                assignees: of(Assignee::Unassigned(Unassigned {})),
                ..request()
            },
            condition: format!("{is_open} AND assignee_id IS NULL"),
        },
        Filter {
            name: "Q1_chan",
            what: "a page of a channel's closed conversations; hand-written SQL",
            request: ListConversationsRequest {
                statuses: vec![ConversationStatus::Closed.into()],
                channel_ids: vec![CHANNEL.to_string()],
                ..request()
            },
            condition: format!("status = 'CLOSED' AND channel_id = '{CHANNEL}'"),
        },
    ]
}

/// Measures the rows among this number of conversations with ten entries each.
pub async fn run(deployment: &Deployment, plan: Plan, conversations: u32) -> Vec<Row> {
    for statement in fixture::inbox(conversations) {
        deployment.execute(&statement).await;
    }
    deployment.mark_indexed().await;
    let (mut inbox, mut database) = (deployment.inbox().await, deployment.database().await);
    let mut rows = Vec::new();
    for filter in filters() {
        let page = page_sql(&filter.condition);
        list(&mut inbox, &filter.request, plan.warm_up).await;
        select(&mut database, &page, plan.warm_up).await;
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            let baseline = select(&mut database, &page, plan.length).await;
            let value = list(&mut inbox, &filter.request, plan.length).await;
            rounds.push(round(filter.name, number, &value, &baseline));
        }
        rows.push(Row { name: filter.name, what: filter.what, unit: "ms", goal: Goal::AtMost(2.0), rounds });
    }
    rows.push(run_page_1000(&mut inbox, plan).await);
    rows
}

async fn run_page_1000(inbox: &mut Inbox, plan: Plan) -> Row {
    let first = ListConversationsRequest { page_size: PAGE, ..Default::default() };
    let mut last = first.clone();
    for _ in 1..1_000 {
        last.page_token = inbox.list_conversations(last.clone()).await.unwrap().into_inner().next_page_token;
        assert!(!last.page_token.is_empty(), "there are 1,000 pages");
    }
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = list(inbox, &first, plan.length).await;
        let value = list(inbox, &last, plan.length).await;
        rounds.push(round("Q1_1000", number, &value, &baseline));
    }
    let what = "page 1,000 of the inbox; page 1";
    Row { name: "Q1_1000", what, unit: "ms", goal: Goal::AtMost(1.2), rounds }
}

pub(super) fn round(row: &str, number: usize, value: &LoadResult, baseline: &LoadResult) -> Round {
    let round = Round {
        value: value.latency(500),
        baseline: baseline.latency(500),
        more: vec![("p99_ms", value.latency(990)), ("baseline_p99_ms", baseline.latency(990))],
    };
    print_round(row, number, &round);
    round
}

/// The page as the call returns it: each conversation with its newest message or comment, the names, and the number of entries that
/// the agent has not read; and the row after it, which tells whether another page follows.
fn page_sql(condition: &str) -> String {
    rows_sql(&format!(
        "SELECT * FROM conversations WHERE account_id = '{ACCOUNT}' AND {condition}
            ORDER BY last_activity_at DESC, id DESC LIMIT {PAGE} + 1"
    ))
}

/// The conversations that a statement selects, each with what a row of the inbox shows of it.
pub(super) fn rows_sql(conversations: &str) -> String {
    let is_written = r#"(content LIKE '{"type":"message",%' OR content LIKE '{"type":"comment",%')"#;
    format!(
        "SELECT conversation.*, entry.*, assignee.name, contact.name, mark.sequence, unread.count
        FROM ({conversations}) AS conversation
        LEFT JOIN LATERAL (SELECT * FROM entries WHERE conversation_id = conversation.id AND {is_written}
            ORDER BY sequence DESC LIMIT 1) AS entry ON true
        LEFT JOIN agents AS assignee ON assignee.account_id = conversation.account_id AND assignee.id = conversation.assignee_id
        LEFT JOIN contacts AS contact ON contact.id = conversation.contact_id
        LEFT JOIN read_marks AS mark ON mark.account_id = conversation.account_id AND mark.agent_id = '{AGENT}'
            AND mark.conversation_id = conversation.id
        LEFT JOIN LATERAL (SELECT count(*) FROM (SELECT 1 FROM entries WHERE conversation_id = conversation.id
            AND sequence > coalesce(mark.sequence, 0) AND {is_written}
            AND NOT (author_kind = 'AGENT' AND author_id = '{AGENT}') LIMIT 100) AS counted) AS unread ON true"
    )
}

async fn list(inbox: &mut Inbox, request: &ListConversationsRequest, length: Duration) -> LoadResult {
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let sent = Instant::now();
        let listed = inbox.list_conversations(request.clone()).await.unwrap().into_inner();
        latencies.push(nanoseconds_since(sent));
        assert_eq!(listed.rows.len(), PAGE as usize);
    }
    LoadResult::new(began.elapsed(), latencies)
}

/// Selects the rows again and again.
pub(super) async fn select(database: &mut PgConnection, sql: &str, length: Duration) -> LoadResult {
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let sent = Instant::now();
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut *database).await.unwrap();
        latencies.push(nanoseconds_since(sent));
        assert_eq!(rows.len(), PAGE as usize + 1);
    }
    LoadResult::new(began.elapsed(), latencies)
}
