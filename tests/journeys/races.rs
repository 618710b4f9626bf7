//! Races: the first commit decides, and every caller sees the same result.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::{
        internal::v1::{
            CloseIdleConversationsRequest, IdleConversation, IdleOutcome, PostBotMessageRequest,
            arbiter_service_client::ArbiterServiceClient,
        },
        v1::{
            CloseReason, ConversationStatus, SendMessageRequest, StartChatRequest, entry::Content,
            visitor_service_client::VisitorServiceClient,
        },
    },
};
use frontdesk_tests::{Account, Mode, TestSuite, epoch_of, reason, request_id, wait_for};
use futures::future::join_all;
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a3_twenty_agents_take_over_and_one_wins() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let mut agents = Vec::new();
    for number in 0..20 {
        agents.push(account.agent(&format!("Agent {number}")).await);
    }
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let before = Account::conversation(&agents[0].1, &chat.id).await;
    let session = before.bot_session.expect("a bot in charge").bot_session_id;

    let takes = agents.iter().map(|(_, agent)| {
        let mut assignment = AssignmentServiceClient::new(agent.clone());
        let take = TakeOverConversationRequest {
            conversation_id: chat.id.clone(),
            expected_epoch: before.epoch,
            request_id: request_id(),
        };
        async move { assignment.take_over_conversation(take).await }
    });
    let answers = join_all(takes).await;
    let winners: Vec<usize> = (0..20).filter(|number| answers[*number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let (winner, name) = (agents[winners[0]].0, format!("Agent {}", winners[0]));
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let info = refused.get_details_error_info().expect("a reason");
        assert_eq!((refused.code(), info.reason.as_str()), (Code::Aborted, "OWNERSHIP_CHANGED"));
        assert_eq!(
            (&info.metadata["owner_id"], &info.metadata["owner_name"]),
            (&winner.to_string(), &name),
            "the refusal names the owner"
        );
    }
    assert_eq!(Account::conversation(&agents[0].1, &chat.id).await.epoch, before.epoch + 1);

    // After that commit the bot's session is over: neither its messages nor its timeout are accepted.
    let bot_speaks = PostBotMessageRequest {
        conversation_id: chat.id.clone(),
        text: "still here".into(),
        bot_session_id: session.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let service = account.with_claims(CallerKind::Service, "bot-session", |_| {});
    let mut request = tonic::Request::new(bot_speaks);
    request.metadata_mut().insert("x-frontdesk-account", account.id.to_string().parse().unwrap());
    request.metadata_mut().insert("x-frontdesk-actor", format!("bot:{}", bot.id).parse().unwrap());
    let refused = ArbiterServiceClient::new(service.clone()).post_bot_message(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    let control = account.idle_chat(&channel).await;
    suite.advance(Duration::from_secs(3600));
    let idle = IdleConversation {
        account_id: account.id.to_string(),
        conversation_id: chat.id.clone(),
        bot_session_id: session,
        as_of_time: None,
    };
    let idle = CloseIdleConversationsRequest { conversations: vec![idle], handles_failed: true };
    let results = ArbiterServiceClient::new(service).close_idle_conversations(idle).await.unwrap().into_inner().results;
    assert_eq!(results[0].outcome(), IdleOutcome::NotInCharge);
    Account::until_closed(&agents[0].1, &control.id).await;
    assert_eq!(Account::conversation(&agents[0].1, &chat.id).await.status(), ConversationStatus::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_b5_e2a_a_message_racing_the_timeout_is_stored_before_it_or_refused() {
    // Embedded, where every task sees a move of the clock at once. Across replicas the chaos harness races in real
    // time.
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let (mut messages_won, mut timeouts_won) = (0, 0);
    for round in 0..30_u64 {
        let chat = account.start_chat(account.visitor(&format!("v{round}")), &channel).await;
        chat.until_text("Your address?").await;
        let control = account.idle_chat(&channel).await;
        // The clock jumps to the deadline; the message is sent a little before or after the timer fires.
        let delay = if round < 15 { round * 150 } else { (round - 14) * 5_000 };
        let say = async {
            tokio::time::sleep(Duration::from_micros(delay)).await;
            chat.say("I am here").await
        };
        suite.advance(Duration::from_secs(30 * 60));
        match say.await {
            Ok(line) => {
                messages_won += 1;
                Account::until_closed(&agent, &control.id).await;
                let conversation = Account::conversation(&agent, &chat.id).await;
                assert_eq!(
                    conversation.status(),
                    ConversationStatus::Open,
                    "B5: the accepted message {line:?} prevents the timeout"
                );
            }
            Err(refused) => {
                timeouts_won += 1;
                assert_eq!(reason(&refused), "CONVERSATION_CLOSED", "{refused:?}");
                let conversation = Account::conversation(&agent, &chat.id).await;
                assert_eq!((conversation.close_number, conversation.close_reason()), (1, CloseReason::VisitorInactive));
                let thread = Account::thread(&agent, &chat.id).await;
                assert!(
                    matches!(thread.last().and_then(|entry| entry.content.as_ref()), Some(Content::Closed(_))),
                    "{thread:?}"
                );
            }
        }
    }
    println!("messages won {messages_won}, timeouts won {timeouts_won}");
    assert!(messages_won > 0 && timeouts_won > 0, "both orders must occur: {messages_won} and {timeouts_won}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2a_b1_twenty_racing_starts_make_one_conversation_with_one_session() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let starts = (0..20).map(|number| {
        let mut visitor = VisitorServiceClient::new(account.visitor("v"));
        let start = StartChatRequest {
            channel_id: channel.clone(),
            page_url: "https://shop.example/".into(),
            text: format!("m{number}"),
            request_id: request_id(),
            ..Default::default()
        };
        async move { visitor.start_chat(start).await.unwrap().into_inner().chat.unwrap().id }
    });
    let mut ids = join_all(starts).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let said = wait_for("all messages", || async {
        let thread = Account::thread(&agent, &ids[0]).await;
        let said = thread
            .iter()
            .filter(|entry| matches!(&entry.content, Some(Content::Message(m)) if m.text.starts_with('m')))
            .count();
        (said == 20).then_some(said)
    })
    .await;
    assert_eq!(said, 20, "no first message is lost");
    assert_eq!(epoch_of(&agent, &ids[0]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_twenty_repeats_at_once_post_once() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let say = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "once".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let repeats = (0..20).map(|_| {
        let (mut visitor, say) = (VisitorServiceClient::new(chat.visitor.clone()), say.clone());
        async move { visitor.send_message(say).await.unwrap().into_inner().entry.unwrap().visitor_sequence }
    });
    assert!(join_all(repeats).await.into_iter().all(|number| number == 1));
    assert_eq!(Account::thread(&agent, &chat.id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_cancelled_calls_lose_and_duplicate_nothing() {
    const CALLS: usize = 400;
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let calls = (0..CALLS).map(|number| {
        let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
        let say = SendMessageRequest {
            chat_id: chat.id.clone(),
            text: format!("m{number}"),
            request_id: request_id(),
            ..Default::default()
        };
        async move {
            let cancel_after = Duration::from_micros((number as u64 * 37) % 5_000);
            let cancelled = tokio::time::timeout(cancel_after, visitor.send_message(say.clone())).await.is_err();
            // The caller retries with the same request, as a widget does.
            visitor.send_message(say).await.unwrap();
            cancelled
        }
    });
    // Forty at once: a connection with hundreds of cancelled calls at once is cut as an attack.
    let calls: Vec<bool> =
        futures::StreamExt::collect(futures::StreamExt::buffer_unordered(futures::stream::iter(calls), 40)).await;
    let cancelled = calls.into_iter().filter(|cancelled| *cancelled).count();
    println!("{cancelled} of {CALLS} calls cancelled");
    assert!(cancelled > CALLS / 10);
    let thread = Account::thread(&agent, &chat.id).await;
    let texts: std::collections::HashSet<&str> = thread
        .iter()
        .filter_map(|entry| match &entry.content {
            Some(Content::Message(message)) => Some(message.text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((thread.len(), texts.len()), (CALLS, CALLS));
}
