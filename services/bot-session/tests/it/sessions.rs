use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, GetBotSessionRequest, ListBotSessionsRequest},
    event::v1::{CloseReason, ConversationClosed, ConversationHandedOff},
};
use tonic::Code;

use crate::{
    suite::{Suite, account},
    turns::flow,
};

#[tokio::test]
async fn a_session_ends_as_the_conversation_did_also_when_the_end_is_heard_of_before_the_start() {
    let suite = Suite::start().await;
    let here = account();
    let bot = suite.bot(here, flow()).await;
    for (reason, status) in [
        (CloseReason::VisitorInactive, BotSessionStatus::TimedOut),
        (CloseReason::BotCompleted, BotSessionStatus::Completed),
        (CloseReason::Agent, BotSessionStatus::Closed),
    ] {
        let chat = suite.chat(here, &bot, None).await;
        let closed = ConversationClosed {
            conversation_id: chat.conversation.to_string(),
            bot_session_id: chat.session.to_string(),
            reason: reason.into(),
            ..ConversationClosed::default()
        };
        suite.publish(here, &closed).await;
        suite.publish(here, &chat.started).await;
        let session = suite.stands(&chat, status).await;
        assert!(session.end_time.is_some() && session.check_time.is_none());
        // The first end stays.
        let off = ConversationHandedOff {
            conversation_id: chat.conversation.to_string(),
            bot_session_id: chat.session.to_string(),
            ..ConversationHandedOff::default()
        };
        suite.publish(here, &off).await;
        suite.stands(&chat, status).await;
    }
}

#[tokio::test]
async fn b2_a_session_keeps_the_flow_and_the_timeout_it_began_with() {
    let suite = Suite::start().await;
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let chat = suite.chat(here, &bot, Some(std::time::Duration::from_secs(90))).await;
    suite.publish(here, &chat.started).await;
    suite.waits_at(&chat, "mail").await;
    let delete = frontdesk_proto::botsession::v1::DeleteBotRequest { bot_id: bot.id };
    suite.bots(here).delete_bot(delete).await.unwrap();
    suite.speak(&chat, "ada@example.org", "").await;
    suite.waits_at(&chat, "topic").await;
    let session = suite.session(&chat).await.unwrap();
    assert_eq!(session.inactivity_timeout.unwrap().seconds, 90);
    assert_eq!(session.check_time.unwrap().seconds, session.start_time.unwrap().seconds + 90);
}

#[tokio::test]
async fn s2_sessions_are_listed_newest_first_in_pages_and_only_to_their_account() {
    let suite = Suite::start().await;
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let chat = suite.chat(here, &bot, None).await;
        suite.publish(here, &chat.started).await;
        suite.waits_at(&chat, "mail").await;
        ids.insert(0, chat.session.to_string());
    }
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListBotSessionsRequest {
            bot_id: bot.id.clone(),
            status: BotSessionStatus::Open.into(),
            page_size: 2,
            page_token: token,
            ..ListBotSessionsRequest::default()
        };
        let page = suite.sessions(here).list_bot_sessions(request).await.unwrap().into_inner();
        listed.extend(page.bot_sessions.into_iter().map(|session| session.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids);

    let there = account();
    let get = GetBotSessionRequest { bot_session_id: ids[0].clone() };
    assert_eq!(suite.sessions(there).get_bot_session(get).await.unwrap_err().code(), Code::NotFound);
    let all = suite.sessions(there).list_bot_sessions(ListBotSessionsRequest::default()).await.unwrap().into_inner();
    assert!(all.bot_sessions.is_empty());
}
