//! Bots and their sessions.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    botsession::v1::{
        Bot, BotSessionStatus, ButtonsStep, CloseStep, CreateBotRequest, Flow, FlowButton, HandOffStep,
        ListBotSessionsRequest, Step, UpdateBotRequest, bot_service_client::BotServiceClient,
        bot_session_service_client::BotSessionServiceClient, step::Action, update_bot_request::Inactivity,
    },
    conversation::v1::{
        ChooseButtonRequest, CloseReason, ContactEmail, ConversationStatus, GetContactRequest, chat_entry,
        contact_service_client::ContactServiceClient, entry::Content, visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, reason, request_id, wait_for};

async fn session(agent: &As, conversation: &str, status: BotSessionStatus) {
    wait_for("the session", || async {
        let request = ListBotSessionsRequest { conversation_id: conversation.into(), ..Default::default() };
        let list = BotSessionServiceClient::new(agent.clone())
            .list_bot_sessions(request)
            .await
            .unwrap()
            .into_inner()
            .bot_sessions;
        assert!(list.len() <= 1, "B1: one session");
        list.first().filter(|session| session.status() == status).map(|_| ())
    })
    .await;
}

async fn choose(chat: &Chat, visitor_sequence: i32, button: &str) -> Result<(), tonic::Status> {
    let request = ChooseButtonRequest {
        chat_id: chat.id.clone(),
        visitor_sequence,
        button_id: button.into(),
        request_id: request_id(),
    };
    VisitorServiceClient::new(chat.visitor.clone()).choose_button(request).await.map(|_| ())
}

#[tokio::test]
async fn b6_b8_x1_a_flow_asks_offers_buttons_and_hands_off() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    chat.say("not an address").await.unwrap();
    chat.until("the question again", |line| line.visitor_sequence == 4).await;
    chat.say(" Mario@Visitor.Example ").await.unwrap();
    let lines = chat.until_text("Which?").await;
    let question = lines.last().unwrap().visitor_sequence;
    assert_eq!(reason(&choose(&chat, question, "nonsense").await.unwrap_err()), "BUTTON_NOT_OFFERED");
    choose(&chat, question, "people").await.unwrap();
    assert_eq!(
        reason(&choose(&chat, question, "bye").await.unwrap_err()),
        "BUTTON_NOT_OFFERED",
        "one choice for a question"
    );
    chat.until_text("A colleague comes.").await;
    session(&agent, &chat.id, BotSessionStatus::HandedOff).await;

    let conversation = Account::conversation(&agent, &chat.id).await;
    assert!(conversation.assignee.is_none() && conversation.bot_session.is_none());
    let contact = GetContactRequest { contact_id: conversation.contact_id.clone() };
    let contact =
        ContactServiceClient::new(agent.clone()).get_contact(contact).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(
        contact.emails,
        [ContactEmail { email: "mario@visitor.example".into(), verified: false }],
        "X1: typed, so not verified"
    );
    let thread = Account::thread(&agent, &chat.id).await;
    let reasons = thread.iter().filter_map(|entry| match &entry.content {
        Some(Content::HandedOff(handed)) => Some(handed.reason.as_str()),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["asked for people"], "B8: the bot's reason is an entry");
    // E2: a chat with a person does not time out.
    let control = account.idle_chat(&channel).await;
    suite.advance(Duration::from_secs(24 * 3600));
    Account::until_closed(&agent, &control.id).await;
    assert_eq!(Account::conversation(&agent, &chat.id).await.status(), ConversationStatus::Open);
}

/// Two questions whose buttons have the same ids; the second one leads to a close (`yes`) or to the team (`no`).
fn two_questions() -> Flow {
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let ask = |text: &str, yes: &str, no: &str| {
        let buttons = vec![button("yes", "Yes", yes), button("no", "No", no)];
        Action::Buttons(ButtonsStep { text: text.into(), buttons })
    };
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), next_step_id: String::new() };
    Flow {
        steps: vec![
            step("q1", ask("About an order?", "", "")),
            step("q2", ask("May we close this chat?", "bye", "people")),
            step("bye", Action::Close(CloseStep::default())),
            step("people", Action::HandOff(HandOffStep::default())),
        ],
    }
}

async fn create_bot(account: &Account, flow: Flow) -> Bot {
    let request = CreateBotRequest {
        name: "Robo".into(),
        flow: Some(flow),
        request_id: request_id(),
        ..CreateBotRequest::default()
    };
    BotServiceClient::new(account.admin()).create_bot(request).await.unwrap().into_inner().bot.unwrap()
}

#[tokio::test]
async fn b6_a_typed_answer_and_a_click_on_one_question_do_not_answer_two() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, two_questions()).await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let question = chat.until_text("About an order?").await.last().unwrap().visitor_sequence;
    chat.say("yes").await.unwrap();
    assert_eq!(reason(&choose(&chat, question, "yes").await.unwrap_err()), "BUTTON_NOT_OFFERED");
    let question = chat.until_text("May we close this chat?").await.last().unwrap().visitor_sequence;
    suite.settled().await;
    assert_eq!(Account::conversation(&agent, &chat.id).await.status(), ConversationStatus::Open);

    let (one, other) = tokio::join!(choose(&chat, question, "no"), choose(&chat, question, "no"));
    assert!(one.is_ok() != other.is_ok());
    assert_eq!(reason(&one.and(other).unwrap_err()), "BUTTON_NOT_OFFERED");
    session(&agent, &chat.id, BotSessionStatus::HandedOff).await;
}

#[tokio::test]
async fn c2_the_bot_closes_at_the_end_of_its_flow() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    chat.say("a@b.example").await.unwrap();
    chat.until_text("Which?").await;
    chat.say("bye").await.unwrap();
    chat.until("the end", |line| matches!(line.content, Some(chat_entry::Content::Ended(_)))).await;
    session(&agent, &chat.id, BotSessionStatus::Completed).await;
    let conversation = Account::conversation(&agent, &chat.id).await;
    assert_eq!(conversation.close_reason(), CloseReason::BotCompleted);
}

#[tokio::test]
async fn b2_b3_b4_e2_only_visitor_silence_counts_and_a_session_keeps_its_timeout() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    // One visitor never writes (B3); another writes after 20 minutes.
    let silent = account.start_chat(account.visitor("silent"), &channel).await;
    let late = account.start_chat(account.visitor("late"), &channel).await;
    silent.until_text("Your address?").await;
    late.until_text("Your address?").await;
    // A session keeps the timeout that it began with.
    let shorter = UpdateBotRequest {
        bot_id: bot.id.clone(),
        inactivity: Some(Inactivity::InactivityTimeout(prost_types::Duration { seconds: 60, nanos: 0 })),
        ..Default::default()
    };
    BotServiceClient::new(account.admin()).update_bot(shorter).await.unwrap();
    suite.advance(Duration::from_secs(20 * 60));
    late.say("here").await.unwrap();
    let status = |id: String| {
        let agent = agent.clone();
        async move { Account::conversation(&agent, &id).await.status() }
    };
    assert_eq!(status(silent.id.clone()).await, ConversationStatus::Open);
    suite.advance(Duration::from_secs(10 * 60));
    session(&agent, &silent.id, BotSessionStatus::TimedOut).await;
    assert_eq!(status(silent.id.clone()).await, ConversationStatus::Closed);
    assert_eq!(status(late.id.clone()).await, ConversationStatus::Open, "the 30 minutes began again with the message");
    suite.advance(Duration::from_secs(20 * 60));
    session(&agent, &late.id, BotSessionStatus::TimedOut).await;
    let closed = Account::conversation(&agent, &late.id).await;
    let silence = closed.close_time.unwrap().seconds - closed.last_visitor_activity_time.unwrap().seconds;
    assert!((1_800..1_815).contains(&silence), "closed after {silence} s of silence");

    // A new session gets the new timeout as soon as the conversation service has handled the event.
    wait_for("a chat with the new timeout", || async {
        let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
        let session = Account::conversation(&agent, &chat.id).await.bot_session.expect("a bot in charge");
        (session.inactivity_timeout.unwrap().seconds == 60).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a3_a_takeover_ends_the_session_and_no_timer_closes_the_chat() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let take =
        TakeOverConversationRequest { conversation_id: chat.id.clone(), expected_epoch: 1, request_id: request_id() };
    AssignmentServiceClient::new(agent.clone()).take_over_conversation(take).await.unwrap();
    session(&agent, &chat.id, BotSessionStatus::TakenOver).await;
    let said = chat.say("hello?").await.unwrap().visitor_sequence;
    let control = account.idle_chat(&channel).await;
    suite.advance(Duration::from_secs(7 * 24 * 3600));
    Account::until_closed(&agent, &control.id).await;
    let conversation = Account::conversation(&agent, &chat.id).await;
    assert_eq!(
        (conversation.status(), conversation.last_visitor_sequence),
        (ConversationStatus::Open, said),
        "the bot is silent"
    );
}
