//! kill -9 at any moment and a restart: nothing acknowledged is lost, and nothing happens twice.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        CloseConversationRequest, CloseReason, ConversationStatus, PostMessageRequest, SendMessageRequest,
        StartChatRequest, conversation_service_client::ConversationServiceClient, entry::Content,
        thread_service_client::ThreadServiceClient, visitor_service_client::VisitorServiceClient,
    },
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
    notification::v1::{
        DeliveryStatus, GetDeliveryRequest, ListTranscriptDecisionsRequest, SkipReason,
        delivery_service_client::DeliveryServiceClient, transcript_service_client::TranscriptServiceClient,
    },
};
use frontdesk_tests::{Account, As, Process, new_id, request_id, wait_for};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::sync::mpsc;
use tonic::{Code, Response, Status};

/// Repeats a call with its request id until the server answers.
pub(crate) async fn retry<T, F: Future<Output = Result<Response<T>, Status>>>(call: impl Fn() -> F) -> T {
    for _ in 0..1_000 {
        match tokio::time::timeout(Duration::from_secs(5), call()).await {
            Ok(Ok(answer)) => return answer.into_inner(),
            Ok(Err(status))
                if matches!(
                    status.code(),
                    Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
                ) => {}
            Ok(Err(status)) if status.code() == Code::Internal && status.message().contains("h2 protocol") => {}
            Ok(Err(status)) => panic!("{status:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer in 1,000 tries");
}

/// Minimum number of kills that the chats last through, on a machine of any speed.
const MIN_KILLS: usize = 5;

/// A chat that an agent takes over, with every write retried; returns its id and the acknowledged texts.
async fn chat(
    account: &Account,
    channel: &str,
    agent: &As,
    number: usize,
    kills: &AtomicUsize,
) -> (String, Vec<String>) {
    let visitor = account.known_visitor(&format!("v{number}"), &format!("v{number}@visitor.example"));
    let mut said = Vec::new();
    let start = StartChatRequest {
        channel_id: channel.to_owned(),
        page_url: "https://shop.example/".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let id = retry(|| async { VisitorServiceClient::new(visitor.clone()).start_chat(start.clone()).await })
        .await
        .chat
        .unwrap()
        .id;
    for line in (0..).take_while(|line| *line < 40 || kills.load(Ordering::Relaxed) < MIN_KILLS) {
        let text = format!("visitor {number} line {line}");
        let say = SendMessageRequest {
            chat_id: id.clone(),
            text: text.clone(),
            request_id: request_id(),
            ..Default::default()
        };
        retry(|| async { VisitorServiceClient::new(visitor.clone()).send_message(say.clone()).await }).await;
        said.push(text);
        if line == 3 {
            let take = TakeOverConversationRequest {
                conversation_id: id.clone(),
                expected_epoch: 1,
                request_id: request_id(),
            };
            retry(|| async { AssignmentServiceClient::new(agent.clone()).take_over_conversation(take.clone()).await })
                .await;
        }
        if line > 3 {
            let text = format!("agent {number} line {line}");
            let post = PostMessageRequest {
                conversation_id: id.clone(),
                text: text.clone(),
                request_id: request_id(),
                ..Default::default()
            };
            retry(|| async { ThreadServiceClient::new(agent.clone()).post_message(post.clone()).await }).await;
            said.push(text);
        }
    }
    let close = CloseConversationRequest { conversation_id: id.clone(), ..Default::default() };
    retry(|| async { ConversationServiceClient::new(agent.clone()).close_conversation(close.clone()).await }).await;
    (id, said)
}

async fn killer(mut process: Process, mut stop: mpsc::Receiver<()>, seed: u64, kills: Arc<AtomicUsize>) -> Process {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let pause = Duration::from_millis(random.random_range(60..500));
        if tokio::time::timeout(pause, stop.recv()).await.is_ok() {
            return process;
        }
        process.kill().await;
        process.restart().await;
        kills.fetch_add(1, Ordering::Relaxed);
    }
}

async fn account(process: &Process, keys: &DevelopmentKey) -> Account {
    Account::open(&process.address(), keys, new_id()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_t3_chats_continue_through_kills_and_are_mailed_once() {
    const CHATS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]).await;
    let account = account(&process, &process.keys()).await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;

    let (stop, stopped) = mpsc::channel(1);
    let kills = Arc::new(AtomicUsize::new(0));
    let killing = tokio::spawn(killer(process, stopped, 11, kills.clone()));
    let chats = (0..CHATS).map(|number| {
        let (account, channel, agent, kills) = (account.clone(), channel.clone(), agent.clone(), kills.clone());
        tokio::spawn(async move { chat(&account, &channel, &agent, number, &kills).await })
    });
    let chats = futures::future::join_all(chats.collect::<Vec<_>>()).await;
    stop.send(()).await.unwrap();
    let _process = killing.await.unwrap();
    println!("{CHATS} chats through {} kills", kills.load(Ordering::Relaxed));

    for (number, chat) in chats.into_iter().enumerate() {
        let (id, said) = chat.unwrap();
        let thread = Account::thread(&agent, &id).await;
        assert!((1..).zip(&thread).all(|(number, entry)| entry.sequence == number), "C3: without gaps");
        let texts: Vec<&str> = thread
            .iter()
            .filter_map(|entry| match &entry.content {
                Some(Content::Message(message)) if message.text.contains(" line ") => Some(message.text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, said, "I1, I2, I4: every acknowledged message is stored once, in order");
        let decision = Account::explained(&agent, &id, 1).await.decision.unwrap();
        assert!(decision.send);
        wait_for("the mail", || async {
            let request = GetDeliveryRequest { delivery_id: decision.delivery_id.clone() };
            let delivery =
                DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap().into_inner().delivery?;
            (delivery.status() == DeliveryStatus::Sent).then_some(())
        })
        .await;
        assert_eq!(account.mails(&format!("v{number}@visitor.example")).await.len(), 1, "I10: one mail");
        let list = ListTranscriptDecisionsRequest { conversation_id: id.clone(), ..Default::default() };
        let list =
            TranscriptServiceClient::new(agent.clone()).list_transcript_decisions(list).await.unwrap().into_inner();
        assert_eq!(list.decisions.len(), 1, "T3: one decision");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_the_timeout_still_fires_after_a_kill_and_time_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]).await;
    let account = account(&process, &process.keys()).await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let by = |seconds| AdvanceTimeRequest { by: Some(prost_types::Duration { seconds, nanos: 0 }) };
    ClockServiceClient::new(account.admin()).advance_time(by(20 * 60)).await.unwrap();
    process.kill().await;
    process.restart().await;
    let open = retry(|| async {
        let request = frontdesk_proto::conversation::v1::GetConversationRequest { conversation_id: chat.id.clone() };
        ConversationServiceClient::new(agent.clone()).get_conversation(request).await
    })
    .await;
    assert_eq!(open.conversation.unwrap().status(), ConversationStatus::Open);
    // Killed when the timeout is due.
    let _ = ClockServiceClient::new(account.admin()).advance_time(by(10 * 60 + 1)).await;
    process.kill().await;
    process.restart().await;
    let closed = wait_for("the timeout", || async {
        let request = frontdesk_proto::conversation::v1::GetConversationRequest { conversation_id: chat.id.clone() };
        let answer = ConversationServiceClient::new(agent.clone()).get_conversation(request).await.ok()?;
        answer.into_inner().conversation.filter(|conversation| conversation.status() == ConversationStatus::Closed)
    })
    .await;
    assert_eq!((closed.close_reason(), closed.close_number), (CloseReason::VisitorInactive, 1));
    let decision = Account::explained(&agent, &chat.id, 1).await.decision.unwrap();
    assert_eq!(decision.skip_reason(), SkipReason::BotConversation);
}
