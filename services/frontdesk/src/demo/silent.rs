//! Chat 2: the visitor falls silent.

use frontdesk_auth::CallerKind;
use frontdesk_clock::testing::new_id;
use frontdesk_proto::{
    conversation::v1::{
        CloseReason, Conversation, GetConversationRequest, SendMessageRequest, StartChatRequest, chat_entry::Content,
        conversation_service_client::ConversationServiceClient, visitor_service_client::VisitorServiceClient,
    },
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
    notification::v1::SkipReason,
};

use super::{
    check,
    clients::{Account, Fixture, Widget, request_id, text_of},
    step,
    taken_over::{explain, show_thread},
    wait_for,
};
use crate::Failure;

/// Default timeout of the session of a bot, in seconds.
const TIMEOUT_SECONDS: i64 = 30 * 60;

pub(super) async fn play(account: &Account, fixture: &Fixture) -> Result<(), Failure> {
    let visitor = account.call_as(CallerKind::Visitor, &format!("visitor-{}", new_id()), "")?;
    let address = format!("lucia-{}@visitor.example", new_id().simple());
    let mut chat = VisitorServiceClient::new(visitor.clone());
    let started = StartChatRequest {
        channel_id: fixture.channel_id.clone(),
        page_url: "https://bicycles.example/".into(),
        page_title: "Rossi Bicycles".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let chat_id = chat.start_chat(started).await?.into_inner().chat.ok_or("no chat")?.id;
    let mut widget = Widget::watch(&visitor, &chat_id).await?;
    widget.until("the bot's question", |line| text_of(line).contains("Which address")).await?;
    let answer = SendMessageRequest {
        chat_id: chat_id.clone(),
        text: address.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    chat.send_message(answer).await?;
    widget.until("the bot's buttons", |line| text_of(line).contains("What is it about")).await?;

    advance(account, 29 * 60).await?;
    let later = conversation(fixture, &chat_id).await?;
    // All demos of a server move its one clock.
    let state = if later.close_number == 0 { "open" } else { "closed, because another demo moved the clock too" };
    step("clock", format!("29 minutes later, the chat is {state}"));
    check("B4", "no timeout before its time", !is_closed_early(&later))?;
    advance(account, 61).await?;
    step("clock", "30 minutes and a second after the visitor's last word");
    widget
        .until("the end", |line| matches!(&line.content, Some(Content::Ended(ended)) if ended.visitor_inactive))
        .await?;
    let closed = conversation(fixture, &chat_id).await?;
    let timed_out = closed.close_number == 1 && closed.close_reason() == CloseReason::VisitorInactive;
    check("E2", "the visitor's silence closed it, once", timed_out)?;
    show_thread(&fixture.agent, &chat_id).await?;

    let explained = wait_for("the decision", || explain(&fixture.agent, &chat_id)).await?;
    let decision = explained.decision.ok_or("no decision")?;
    step("decision", &decision.explanation);
    let skipped =
        !decision.send && decision.skip_reason() == SkipReason::BotConversation && explained.delivery.is_none();
    check("T2", "a bot's chat that nobody took sends no transcript, and says why", skipped)?;
    check("T1", "no mail is in the visitor's mailbox", account.mails(&address).await?.is_empty())
}

async fn conversation(fixture: &Fixture, chat_id: &str) -> Result<Conversation, Failure> {
    let request = GetConversationRequest { conversation_id: chat_id.to_owned() };
    let answer = ConversationServiceClient::new(fixture.agent.clone()).get_conversation(request).await?;
    Ok(answer.into_inner().conversation.ok_or("no conversation")?)
}

/// Whether the conversation was closed less than the timeout of the bot's session after the visitor's last activity.
fn is_closed_early(conversation: &Conversation) -> bool {
    let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
    let (closed, active) = (seconds(conversation.close_time), seconds(conversation.last_visitor_activity_time));
    closed.zip(active).is_some_and(|(closed, active)| closed - active < TIMEOUT_SECONDS)
}

async fn advance(account: &Account, seconds: i64) -> Result<(), Failure> {
    let by = AdvanceTimeRequest { by: Some(prost_types::Duration { seconds, nanos: 0 }) };
    ClockServiceClient::new(account.admin()?).advance_time(by).await?;
    Ok(())
}
