//! Q1: a page of a search among many entries. Baseline: the same rows by hand-written SQL over the index that serves the search.

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::SearchConversationsRequest;

use super::{
    Plan,
    q1_inbox_page::{PAGE, round, rows_sql, select},
};
use crate::{
    deployment::{Deployment, Inbox},
    fixture::ACCOUNT,
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
    let (mut inbox, mut database) = (deployment.inbox().await, deployment.database().await);
    let mut rows = Vec::new();
    for Search { name, what, query, words } in searches() {
        let page = page_sql(&words);
        find(&mut inbox, query, plan.warm_up).await;
        select(&mut database, &page, plan.warm_up).await;
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            let baseline = select(&mut database, &page, plan.length).await;
            let value = find(&mut inbox, query, plan.length).await;
            rounds.push(round(name, number, &value, &baseline));
        }
        rows.push(Row { name, what, unit: "ms", goal: Goal::AtMost(2.0), rounds });
    }
    rows
}

/// The page as the call returns it: the conversations that started latest, as the inbox shows them, each with the contents of the newest
/// entries that match; and the row after it, which tells whether another page follows.
fn page_sql(words: &[String]) -> String {
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
        rows = rows_sql(conversations),
    )
}

async fn find(inbox: &mut Inbox, query: &str, length: Duration) -> LoadResult {
    let request = SearchConversationsRequest { query: query.to_owned(), page_size: PAGE, ..Default::default() };
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let sent = Instant::now();
        let found = inbox.search_conversations(request.clone()).await.unwrap().into_inner();
        latencies.push(nanoseconds_since(sent));
        assert_eq!(found.matches.len(), PAGE as usize);
    }
    LoadResult::new(began.elapsed(), latencies)
}
