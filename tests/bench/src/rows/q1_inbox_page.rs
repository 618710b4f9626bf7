//! Q1: a page of the inbox among many conversations. Baseline: the same rows by hand-written SQL ([`inbox_baseline`]). `Q1_1000` is
//! page 1,000; its baseline is page 1.

use std::time::{Duration, Instant};

use frontdesk_bench::raw::Connection;
use frontdesk_proto::conversation::v1::{
    AssigneeFilter, ConversationStatus, ListConversationsRequest, ListConversationsResponse,
    assignee_filter::{Assignee, Me, Unassigned},
};
use prost::{Message, bytes::Bytes};

use super::{Plan, print_round};
use crate::{
    deployment::Deployment,
    fixture::{self, ACCOUNT, AGENT, CHANNEL},
    inbox_baseline::{self, Baseline},
    load::{LoadResult, nanoseconds_since},
    report::{Goal, Round, Row},
};

/// Number of rows of a page.
pub(super) const PAGE: i32 = 50;
/// Number of rows that are read for it.
pub(super) const ROWS: usize = PAGE as usize + 1;

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
    let mut baseline = Baseline::connect(deployment).await;
    let inbox = deployment.client_of(deployment.address(), 1).await.connection(0);
    let mut rows = Vec::new();
    for filter in filters() {
        let conversations = conversations_sql(&filter.condition);
        let (page, bare_page) = (inbox_baseline::rows(&conversations), inbox_baseline::bare_rows(&conversations));
        list(&inbox, &filter.request, plan.warm_up).await;
        baseline.select(&page, ROWS, plan.warm_up).await;
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            let bare = baseline.select_bare(&bare_page, ROWS, plan.length / 2).await;
            let selected = baseline.select(&page, ROWS, plan.length).await;
            let listed = list(&inbox, &filter.request, plan.length).await;
            rounds.push(round(filter.name, number, &listed, &selected, Some(&bare)));
        }
        rows.push(Row { name: filter.name, what: filter.what, unit: "ms", goal: Goal::AtMost(2.0), rounds });
    }
    rows.push(run_page_1000(&inbox, plan).await);
    rows
}

async fn run_page_1000(inbox: &Connection, plan: Plan) -> Row {
    let first = ListConversationsRequest { page_size: PAGE, ..Default::default() };
    let mut last = first.clone();
    for _ in 1..1_000 {
        let page = inbox.list_conversations(last.encode_to_vec().into()).await.unwrap();
        last.page_token = ListConversationsResponse::decode(page).unwrap().next_page_token;
        assert!(!last.page_token.is_empty(), "there are 1,000 pages");
    }
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = list(inbox, &first, plan.length).await;
        let value = list(inbox, &last, plan.length).await;
        rounds.push(round("Q1_1000", number, &value, &baseline, None));
    }
    let what = "page 1,000 of the inbox; page 1";
    Row { name: "Q1_1000", what, unit: "ms", goal: Goal::AtMost(1.2), rounds }
}

/// `bare`: the bare rows, of which only the latency is shown.
pub(super) fn round(
    row: &str,
    number: usize,
    value: &LoadResult,
    baseline: &LoadResult,
    bare: Option<&LoadResult>,
) -> Round {
    let mut more = vec![("p99_ms", value.latency(990)), ("baseline_p99_ms", baseline.latency(990))];
    more.extend(bare.map(|bare| ("bare_ms", bare.latency(500))));
    let round = Round { value: value.latency(500), baseline: baseline.latency(500), more };
    print_round(row, number, &round);
    round
}

/// The conversations of a page, and the one after it, which tells whether another page follows.
fn conversations_sql(condition: &str) -> String {
    format!(
        "SELECT * FROM conversations WHERE account_id = '{ACCOUNT}' AND {condition}
            ORDER BY last_activity_at DESC, id DESC LIMIT {ROWS}"
    )
}

/// Lists the page again and again. Its rows are counted after the response has arrived.
async fn list(inbox: &Connection, request: &ListConversationsRequest, length: Duration) -> LoadResult {
    let request: Bytes = request.encode_to_vec().into();
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let sent = Instant::now();
        let listed = inbox.list_conversations(request.clone()).await.unwrap();
        latencies.push(nanoseconds_since(sent));
        assert_eq!(ListConversationsResponse::decode(listed).unwrap().rows.len(), PAGE as usize);
    }
    LoadResult::new(began.elapsed(), latencies)
}
