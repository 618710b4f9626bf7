//! Messages are written in batches, by each replica in its own: every caller gets the response to their own request.

use frontdesk::ServerChannel;
use frontdesk_auth::CallerKind;
use frontdesk_db::Db;
use frontdesk_proto::conversation::{
    internal::v1::{
        CloseIdleConversationsRequest, IdleConversation, IdleOutcome, arbiter_service_client::ArbiterServiceClient,
    },
    v1::{CloseReason, PostMessageRequest, entry::Content, thread_service_client::ThreadServiceClient},
};
use frontdesk_tests::{Account, As, Mode, TestSuite, new_id, reason, request_id};
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

/// A suite with two replicas, and an account with calls to the first one and with calls to the second one.
async fn replicas() -> (TestSuite, Account, Account) {
    let suite = TestSuite::start_on(Mode::Distributed, |_| {}).await;
    let first = suite.account().await;
    let [one, two] = [0, 1].map(|number| {
        let mut settings = suite.settings.clone();
        let replica = settings.peers.conversation.split(',').nth(number).expect("two replicas").to_owned();
        settings.peers.conversation = replica;
        Account::on(ServerChannel::to_peers(&settings).expect("addresses"), &suite.keys, first.id.0)
    });
    (suite, one, two)
}

fn message(conversation: &str, text: &str, request_id: &str) -> PostMessageRequest {
    PostMessageRequest {
        conversation_id: conversation.to_owned(),
        text: text.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn post(agent: &As, request: PostMessageRequest) -> Result<i32, tonic::Status> {
    let posted = ThreadServiceClient::new(agent.clone()).post_message(request).await?.into_inner();
    let entry = posted.entry.expect("an entry");
    assert_eq!(entry.author.expect("an author").name, "Ada", "the response names the author");
    Ok(entry.sequence)
}

async fn texts(agent: &As, conversation: &str) -> Vec<String> {
    let texts = Account::thread(agent, conversation).await.into_iter().filter_map(|entry| match entry.content {
        Some(Content::Message(message)) => Some(message.text),
        _ => None,
    });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_one_request_id_at_two_replicas_at_once_has_one_effect_and_one_answer() {
    let (_suite, account, beside) = replicas().await;
    let (id, here) = account.agent("Ada").await;
    let there = beside.with_claims(CallerKind::Agent, &id.to_string(), |_| {});
    let channel = account.channel(None).await;
    let mut chats = Vec::new();
    for visitor in 0..4 {
        chats.push(account.start_chat(account.visitor(&visitor.to_string()), &channel).await.id);
    }
    let mut expected = [0; 4];
    for round in 0..30 {
        // The same request ten times at each replica: one message, and the same sequence in twenty responses.
        let (same, chat) = (message(&chats[0], &format!("same {round}"), &request_id()), &chats[0]);
        // One request id for a different conversation at each replica: one of the two is written. An unrelated request
        // in the same batch succeeds.
        let shared = request_id();
        let other = [message(&chats[1], "one", &shared), message(&chats[2], "two", &shared)];
        let bystander = message(&chats[3], &format!("beside {round}"), &request_id());
        let repeats =
            join_all((0..20_usize).map(|n| post(if n.is_multiple_of(2) { &here } else { &there }, same.clone())));
        let [first, second] = other;
        let (repeats, first, second, bystander) =
            tokio::join!(repeats, post(&here, first), post(&there, second), post(&here, bystander));
        let numbers: Vec<i32> = repeats.into_iter().map(|number| number.expect("an answer")).collect();
        assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
        bystander.expect("the unrelated request succeeds");
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        expected[if first.is_ok() { 1 } else { 2 }] += 1;
        let refused = first.err().or(second.err()).expect("a refusal");
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
        assert_eq!(texts(&here, chat).await.len(), round + 1);
    }
    for (chat, expected) in [(1, expected[1]), (2, expected[2]), (3, 30)] {
        assert_eq!(texts(&here, &chats[chat]).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_sequences_are_gapless_and_events_in_order_across_replicas() {
    let (suite, account, beside) = replicas().await;
    let (id, here) = account.agent("Ada").await;
    let there = beside.with_claims(CallerKind::Agent, &id.to_string(), |_| {});
    let channel = account.channel(None).await;
    let mut chats = Vec::new();
    for visitor in 0..5 {
        chats.push(account.start_chat(account.visitor(&visitor.to_string()), &channel).await);
    }
    let posts = (0..400).map(|n: usize| {
        let (chat, agent) = (&chats[n % 5], if n.is_multiple_of(2) { &here } else { &there });
        async move {
            match n % 3 {
                0 => chat.say("visitor").await.map(|_| ()),
                _ => post(agent, message(&chat.id, "agent", &request_id())).await.map(|_| ()),
            }
        }
    });
    join_all(posts).await.into_iter().for_each(|posted| posted.expect("an answer"));
    let db = Db::connect(&suite.settings.databases.conversation, &suite.clock).await.unwrap();
    for chat in chats {
        let thread = Account::thread(&here, &chat.id).await;
        assert_eq!(thread.len(), 81, "80 messages and the change of owner");
        let numbers: Vec<i32> = thread.iter().map(|entry| entry.sequence).collect();
        assert_eq!(numbers, (1..=81).collect::<Vec<_>>());
        let sql = "SELECT version FROM outbox_events WHERE aggregate_id = $1 ORDER BY position";
        let chat: Uuid = chat.id.parse().unwrap();
        let rows = Statement::from_sql_and_values(DbBackend::Postgres, sql, [chat.into()]);
        let rows = db.read().query_all_raw(rows).await.unwrap();
        let versions: Vec<i64> = rows.iter().map(|row| row.try_get("", "version").unwrap()).collect();
        assert_eq!(versions, (1..=82).collect::<Vec<_>>(), "positions in the outbox rise with the versions");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_b5_idle_chats_are_closed_in_batches_with_an_outcome_for_each() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let mut idle = Vec::new();
    for visitor in 0..130 {
        let chat = account.start_chat(account.visitor(&visitor.to_string()), &channel).await.id;
        let session = Account::conversation(&agent, &chat).await.bot_session.expect("a bot in charge").bot_session_id;
        idle.push(IdleConversation {
            account_id: account.id.to_string(),
            conversation_id: chat,
            bot_session_id: session,
            as_of_time: None,
        });
    }
    let service = || ArbiterServiceClient::new(account.with_claims(CallerKind::Service, "bot-session", |_| {}));
    let close = async |idle: &[IdleConversation]| {
        let request = CloseIdleConversationsRequest { conversations: idle.to_vec(), handles_failed: true };
        service().close_idle_conversations(request).await.unwrap().into_inner().results
    };
    let results = close(&idle).await;
    assert!(results.iter().all(|result| result.outcome() == IdleOutcome::VisitorActive && result.idle_time.is_some()));

    idle[3].bot_session_id = new_id().to_string();
    idle[4].conversation_id = new_id().to_string();
    suite.advance(std::time::Duration::from_secs(30 * 60 + 1));
    let results = close(&idle).await;
    for (n, result) in results.iter().enumerate() {
        let expected = match n {
            3 => IdleOutcome::NotInCharge,
            4 => IdleOutcome::NotFound,
            _ => IdleOutcome::Closed,
        };
        assert_eq!((n, result.outcome(), &result.conversation_id), (n, expected, &idle[n].conversation_id));
    }
    for n in [0, 99, 100, 129] {
        let closed = Account::conversation(&agent, &idle[n].conversation_id).await;
        assert_eq!((closed.close_number, closed.close_reason()), (1, CloseReason::VisitorInactive));
    }
    // A repeat changes nothing and has the same outcome, since this timeout closed the conversation.
    let results = close(&idle[..1]).await;
    assert_eq!(results[0].outcome(), IdleOutcome::Closed);
    assert_eq!(Account::conversation(&agent, &idle[0].conversation_id).await.close_number, 1);
}
