//! `Q_thread`: a thread of 100,000 entries, about 100 MB, is listed, watched and searched. The value is the resident memory of the process
//! over idle; the baseline is the limit.

use std::time::Duration;

use frontdesk_proto::conversation::v1::{
    ListEntriesRequest, SearchConversationsRequest, WatchThreadRequest,
    conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
    watch_thread_response::Update,
};

use super::{Plan, print_round};
use crate::{
    deployment::{AgentChannel, Deployment},
    indexed,
    memory::{peak_kib, resident_kib},
    report::{Goal, Round, Row},
};

/// Number of entries of the thread.
const ENTRIES: i32 = 100_000;
/// Memory over idle that a call may use, in MiB: the unread answers that one connection may have.
const LIMIT: f64 = 16.0;
/// Number of entries after which the reader of the watch pauses, and for how long: it is slower than the server.
const PAUSE: (i32, Duration) = (100, Duration::from_millis(10));
/// How long nothing is asked before the process counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// An agent who reads the thread.
struct Reader {
    threads: ThreadServiceClient<AgentChannel>,
    conversations: ConversationServiceClient<AgentChannel>,
    thread: String,
}

/// Measures the row, on a replica of its own: one that has worked keeps memory that the calls would use.
pub async fn run(deployment: &Deployment, plan: Plan) -> Row {
    deployment.mark_indexed().await;
    let indexed = indexed::thread(ENTRIES.try_into().unwrap());
    for statement in indexed.statements() {
        deployment.execute(&statement).await;
    }
    let replica = deployment.new_replica().await;
    let channel = deployment.channel_to(&replica.address).await;
    let mut reader = Reader {
        threads: ThreadServiceClient::new(channel.clone()),
        conversations: ConversationServiceClient::new(channel),
        thread: indexed.first_id(),
    };
    // What the first calls of a process allocate is not memory of the thread.
    reader.list(ENTRIES - 1).await;
    reader.watch(ENTRIES - 1).await;
    reader.search("1 entry").await;
    tokio::time::sleep(SETTLE).await;
    let idle = resident_kib(replica.pid());
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let (listed, ()) = peak_kib(replica.pid(), reader.list(0)).await;
        let (watched, ()) = peak_kib(replica.pid(), reader.watch(0)).await;
        let (searched, ()) = peak_kib(replica.pid(), reader.search_all()).await;
        let [listed, watched, searched] = [listed, watched, searched].map(|peak| (peak - idle) / 1024.0);
        let more = vec![("list_mib", listed), ("watch_mib", watched), ("search_mib", searched)];
        let round = Round { value: listed.max(watched).max(searched), baseline: LIMIT, more };
        print_round("Q_thread", number, &round);
        rounds.push(round);
    }
    let what = "memory over idle, a thread of 100,000 entries is read and searched; the limit";
    Row { name: "Q_thread", what, unit: "MiB", goal: Goal::AtMost(1.0), rounds }
}

impl Reader {
    /// Lists the entries after this sequence, page after page.
    async fn list(&mut self, mut after_sequence: i32) {
        loop {
            let request = ListEntriesRequest {
                conversation_id: self.thread.clone(),
                after_sequence,
                page_size: 1_000,
                ..Default::default()
            };
            let page = self.threads.list_entries(request).await.unwrap().into_inner();
            for entry in &page.entries {
                after_sequence += 1;
                assert_eq!(entry.sequence, after_sequence);
            }
            if !page.has_more {
                break;
            }
        }
        assert_eq!(after_sequence, ENTRIES);
    }

    /// Watches the entries after this sequence up to the last, slowly.
    async fn watch(&mut self, mut after_sequence: i32) {
        let (entries, pause) = PAUSE;
        let request = WatchThreadRequest { conversation_id: self.thread.clone(), after_sequence };
        let mut watch = self.threads.watch_thread(request).await.unwrap().into_inner();
        while after_sequence < ENTRIES {
            let response = watch.message().await.unwrap().unwrap();
            let Some(Update::Entry(entry)) = response.update else { continue };
            after_sequence += 1;
            assert_eq!(entry.sequence, after_sequence);
            if after_sequence % entries == 0 {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Searches for a word that all entries have, for one entry by its number, and for both, which looks through half of the thread.
    async fn search_all(&mut self) {
        for query in ["thread", "50000 entry", "entry 50000"] {
            self.search(query).await;
        }
    }

    /// Reads all pages of a search that finds the thread.
    async fn search(&mut self, query: &str) {
        let mut request = SearchConversationsRequest { query: query.to_owned(), ..Default::default() };
        let mut found = 0;
        loop {
            let page = self.conversations.search_conversations(request.clone()).await.unwrap().into_inner();
            let is_thread = |id: &str| id == self.thread;
            let rows = page.matches.into_iter().filter_map(|one| one.row?.conversation);
            found += rows.filter(|conversation| is_thread(&conversation.id)).count();
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found, 1, "{query}");
    }
}
