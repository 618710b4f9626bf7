//! Q1: a page of a search among many entries. Baseline: the same rows by hand-written SQL over the index that serves the search.

use std::time::{Duration, Instant};

use frontdesk_bench::raw::Connection;
use frontdesk_proto::conversation::v1::{SearchConversationsRequest, SearchConversationsResponse};
use prost::{Message, bytes::Bytes};

use super::{
    Plan,
    q1_inbox_page::{PAGE, ROWS, round},
};
use crate::{
    deployment::Deployment,
    fixture::ACCOUNT,
    inbox_baseline::{self, Baseline},
    indexed::{self, UNSPACED, bytes, pairs},
    load::{LoadResult, nanoseconds_since},
    report::{Goal, Row},
};

/// Maximum number of rows of the index that a search looks through, as in `services/conversation/src/store/search.rs`.
const CANDIDATES: u32 = 1_000;

/// A search, as the query and as the words that an entry must have; the index is read by the first.
struct Search {
    name: &'static str,
    what: &'static str,
    query: &'static str,
    words: Vec<String>,
}

fn searches() -> Vec<Search> {
    let search = |name, what, query, words| Search { name, what, query, words };
    vec![
        search(
            "Q1_often",
            "a search for a word that all entries have; hand-written SQL",
            "brakes",
            vec!["brakes".into()],
        ),
        search("Q1_rare", "a search for a word that 100 entries have; hand-written SQL", "axle", vec!["axle".into()]),
        search(
            "Q1_two",
            "a search for two words that all entries have; hand-written SQL",
            "order brakes",
            vec!["order".into(), "brakes".into()],
        ),
        search(
            "Q1_cjk",
            "a search for Chinese words of a twentieth of the entries; hand-written SQL",
            UNSPACED,
            pairs(UNSPACED).collect(),
        ),
    ]
}

/// Measures the rows among this number of conversations with ten entries each.
pub async fn run(deployment: &Deployment, plan: Plan, conversations: u32) -> Vec<Row> {
    deployment.mark_indexed().await;
    for statement in indexed::conversations(conversations).statements() {
        deployment.execute(&statement).await;
    }
    let mut baseline = Baseline::connect(deployment).await;
    let inbox = deployment.client_of(deployment.address(), 1).await.connection(0);
    let mut rows = Vec::new();
    for Search { name, what, query, words } in searches() {
        let (page, bare_page) = (page_sql(&words, inbox_baseline::rows), page_sql(&words, inbox_baseline::bare_rows));
        find(&inbox, query, plan.warm_up).await;
        baseline.select(&page, ROWS, plan.warm_up).await;
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            let bare = baseline.select_bare(&bare_page, ROWS, plan.length / 2).await;
            let selected = baseline.select(&page, ROWS, plan.length).await;
            let found = find(&inbox, query, plan.length).await;
            rounds.push(round(name, number, &found, &selected, Some(&bare)));
        }
        rows.push(Row { name, what, unit: "ms", goal: Goal::AtMost(2.0), rounds });
    }
    rows
}

/// The page as the call returns it: the conversations that started latest, as the inbox shows them, each with the contents of the newest
/// entries that match; and the row after it, which tells whether another page follows. `rows`: selects what the inbox shows of conversations.
fn page_sql(words: &[String], rows: impl Fn(&str) -> String) -> String {
    let (first, others) = words.split_first().unwrap();
    let has = |word: &String| {
        format!(
            "AND EXISTS (SELECT 1 FROM search_words AS other WHERE other.account_id = '{ACCOUNT}' AND other.word = {} AND
                other.conversation_id = found.conversation_id AND other.sequence = found.sequence)",
            bytes(word)
        )
    };
    let has_others: Vec<String> = others.iter().map(has).collect();
    let conversations = "SELECT conversations.*, (SELECT array_agg(newest.content) FROM (
                SELECT entries.content FROM found JOIN entries
                    ON entries.conversation_id = found.conversation_id AND entries.sequence = found.sequence
                WHERE found.conversation_id = page.conversation_id ORDER BY found.sequence DESC LIMIT 3) AS newest) AS snippets
            FROM page JOIN conversations ON conversations.id = page.conversation_id";
    format!(
        "WITH found AS (SELECT conversation_id, sequence FROM search_words AS found
            WHERE account_id = '{ACCOUNT}' AND word = {word} {has_others}
            ORDER BY conversation_id DESC, sequence DESC LIMIT {CANDIDATES}),
        page AS (SELECT DISTINCT conversation_id FROM found ORDER BY conversation_id DESC LIMIT {PAGE} + 1)
        {rows}",
        word = bytes(first),
        has_others = has_others.join(" "),
        rows = rows(conversations),
    )
}

async fn find(inbox: &Connection, query: &str, length: Duration) -> LoadResult {
    let request = SearchConversationsRequest { query: query.to_owned(), page_size: PAGE, ..Default::default() };
    let request: Bytes = request.encode_to_vec().into();
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let sent = Instant::now();
        let found = inbox.search_conversations(request.clone()).await.unwrap();
        latencies.push(nanoseconds_since(sent));
        assert_eq!(SearchConversationsResponse::decode(found).unwrap().matches.len(), PAGE as usize);
    }
    LoadResult::new(began.elapsed(), latencies)
}
