//! Bots and their sessions.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{
        AssignConversationRequest, CreateOpeningHoursRequest, OpeningSchedule, TakeOverConversationRequest,
        UnassignConversationRequest, UpdateOpeningHoursRequest, WeeklyRange,
        assignment_service_client::AssignmentServiceClient, opening_hours_service_client::OpeningHoursServiceClient,
    },
    botsession::v1::{
        AnswerCondition, AskStep, Bot, BotSession, BotSessionStatus, BranchCase, BranchStep, ButtonsStep, CloseStep,
        Condition, CreateBotRequest, CreateTicketStep, Flow, FlowButton, HandOffStep, ListBotSessionsRequest,
        OpeningHoursCondition, SayStep, SetPropertyStep, Step, UpdateBotRequest, WatchBotSessionRequest,
        bot_service_client::BotServiceClient, bot_session_service_client::BotSessionServiceClient, condition::Test,
        step::Action, update_bot_request::Inactivity, watch_bot_session_response::Update,
    },
    conversation::v1::{
        ChooseButtonRequest, CloseReason, ContactEmail, ConversationStatus, GetContactRequest, ListTicketsRequest,
        StartChatRequest, chat_entry, contact_service_client::ContactServiceClient, entry::Content,
        ticket_service_client::TicketServiceClient, visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, reason, request_id, wait_for};
use tonic::Code;

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
        Action::Buttons(ButtonsStep { text: text.into(), buttons, ..Default::default() })
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
    bot_is_silent(&suite, &account, &agent, &channel, &chat).await;
}

/// Checks that the bot, from which the chat was taken, neither answers nor closes it when the visitor writes and then falls silent.
async fn bot_is_silent(suite: &TestSuite, account: &Account, agent: &As, channel: &str, chat: &Chat) {
    session(agent, &chat.id, BotSessionStatus::TakenOver).await;
    let said = chat.say("hello?").await.unwrap().visitor_sequence;
    let control = account.idle_chat(channel).await;
    suite.advance(Duration::from_secs(7 * 24 * 3600));
    Account::until_closed(agent, &control.id).await;
    let conversation = Account::conversation(agent, &chat.id).await;
    assert_eq!((conversation.status(), conversation.last_visitor_sequence), (ConversationStatus::Open, said));
}

#[tokio::test]
async fn a2_a_conversation_is_not_given_back_to_its_bot() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let session_id = Account::conversation(&agent, &chat.id).await.bot_session.unwrap().bot_session_id;
    // While the bot is in charge, when an agent is, and when the conversation is unassigned.
    for epoch in 1..=3 {
        for calls in [agent.clone(), account.admin()] {
            for id in [&bot.id, &session_id] {
                let give_back = AssignConversationRequest {
                    conversation_id: chat.id.clone(),
                    agent_id: id.clone(),
                    expected_epoch: epoch,
                    request_id: request_id(),
                };
                let mut calls = AssignmentServiceClient::new(calls.clone());
                let refused = calls.assign_conversation(give_back).await.unwrap_err();
                assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"), "{epoch}");
            }
        }
        let conversation = Account::conversation(&agent, &chat.id).await;
        assert_eq!((conversation.epoch, conversation.bot_session.is_some()), (epoch, epoch == 1));
        let owner = conversation.assignee.map(|assignee| assignee.id);
        assert_eq!(owner == Some(ada.to_string()), epoch == 2);
        let mut assignment = AssignmentServiceClient::new(agent.clone());
        let (conversation_id, expected_epoch) = (chat.id.clone(), epoch);
        match epoch {
            1 => {
                let take = TakeOverConversationRequest { conversation_id, expected_epoch, request_id: request_id() };
                assignment.take_over_conversation(take).await.map(drop).unwrap();
            }
            2 => {
                let leave = UnassignConversationRequest { conversation_id, expected_epoch, request_id: request_id() };
                assignment.unassign_conversation(leave).await.map(drop).unwrap();
            }
            _ => {}
        }
    }
    bot_is_silent(&suite, &account, &agent, &channel, &chat).await;
}

fn step(id: &str, action: Action) -> Step {
    Step { id: id.into(), action: Some(action), ..Step::default() }
}

fn say(text: &str) -> Action {
    Action::Say(SayStep { text: text.into(), ..SayStep::default() })
}

fn ask(text: &str, property: &str) -> AskStep {
    AskStep { text: text.into(), property: property.into(), ..AskStep::default() }
}

fn branch(test: Test, next: &str) -> Action {
    let conditions = vec![Condition { test: Some(test), negated: false }];
    Action::Branch(BranchStep { cases: vec![BranchCase { conditions, next_step_id: next.into() }] })
}

/// Starts a chat with a text.
async fn start_with(account: &Account, visitor: &str, channel: &str, text: &str) -> Chat {
    let visitor = account.visitor(visitor);
    let start = StartChatRequest {
        channel_id: channel.into(),
        page_url: "https://shop.example/page".into(),
        text: text.into(),
        request_id: request_id(),
        ..StartChatRequest::default()
    };
    let chat = VisitorServiceClient::new(visitor.clone()).start_chat(start).await.unwrap().into_inner().chat.unwrap();
    Chat { visitor, id: chat.id }
}

async fn watched_until(agent: &As, session: &str, holds: impl Fn(&BotSession) -> bool) -> BotSession {
    let request = WatchBotSessionRequest { bot_session_id: session.into() };
    let watch = BotSessionServiceClient::new(agent.clone()).watch_bot_session(request).await;
    let mut updates = watch.unwrap().into_inner();
    let found = async {
        loop {
            if let Some(Update::BotSession(session)) = updates.message().await.unwrap().unwrap().update
                && holds(&session)
            {
                return session;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("the session")
}

#[tokio::test]
async fn b2_b6_x3_a_flow_takes_the_first_message_branches_creates_a_ticket_and_stays_what_it_was() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let urgent = AnswerCondition { step_id: "when".into(), values: vec!["Now".into()] };
    let when = AskStep { choices: vec!["Now".into(), "Later".into()], ..ask("When?", "when") };
    let set = SetPropertyStep { property: "source".into(), value: "bot".into() };
    let people = HandOffStep { text: "A colleague comes.".into(), ..HandOffStep::default() };
    let steps = vec![
        step("what", Action::Ask(AskStep { accepts_first_message: true, ..ask("What?", "question") })),
        step("name", Action::Ask(ask("Your name?", "name"))),
        step("thanks", say("Thanks, {{contact.first_name|you}}.")),
        step("set", Action::SetProperty(set)),
        step("when", Action::Ask(when)),
        step("urgent", branch(Test::Answer(urgent), "people")),
        step("ticket", Action::CreateTicket(CreateTicketStep { subject: "Call back".into() })),
        step("bye", Action::Close(CloseStep { text: "We will call you.".into() })),
        step("people", Action::HandOff(people)),
    ];
    let bot = create_bot(&account, Flow { steps }).await;
    let channel = account.channel(Some(&bot)).await;
    let later = start_with(&account, "later", &channel, "My wheel squeaks").await;
    later.until_text("Your name?").await;
    let session_id = Account::conversation(&agent, &later.id).await.bot_session.unwrap().bot_session_id;

    // The open session goes on with the flow that it started with.
    let other = Flow { steps: vec![step("bye", Action::Close(CloseStep { text: "Another flow.".into() }))] };
    let update = UpdateBotRequest { bot_id: bot.id.clone(), flow: Some(other), ..UpdateBotRequest::default() };
    let now = start_with(&account, "now", &channel, "Help").await;
    now.until_text("Your name?").await;
    BotServiceClient::new(account.admin()).update_bot(update).await.unwrap();
    for chat in [&later, &now] {
        chat.say("Vera Verdi").await.unwrap();
        chat.until_text("Thanks, Vera.").await;
        chat.until_text("When?").await;
    }
    now.say("now").await.unwrap();
    now.until_text("A colleague comes.").await;
    later.say("Later").await.unwrap();
    later.until_text("We will call you.").await;
    Account::until_closed(&agent, &later.id).await;

    let tickets = async |chat: &Chat| {
        let request = ListTicketsRequest { conversation_id: chat.id.clone(), ..ListTicketsRequest::default() };
        TicketServiceClient::new(agent.clone()).list_tickets(request).await.unwrap().into_inner().tickets
    };
    let [ticket] = &tickets(&later).await[..] else { panic!("one ticket") };
    assert_eq!(ticket.subject, "Call back");
    assert!(tickets(&now).await.is_empty());
    let contact_id = Account::conversation(&agent, &later.id).await.contact_id;
    let contact = GetContactRequest { contact_id };
    let contact =
        ContactServiceClient::new(agent.clone()).get_contact(contact).await.unwrap().into_inner().contact.unwrap();
    for (property, value) in [("question", "My wheel squeaks"), ("source", "bot"), ("when", "Later")] {
        assert_eq!(contact.properties.get(property).map(String::as_str), Some(value), "{property}");
    }
    // The event of the close may end the session before the turn that asked for it is stored.
    let is_over = |session: &BotSession| session.status() == BotSessionStatus::Completed && session.turn_count == 3;
    let ended = watched_until(&agent, &session_id, is_over).await;
    let steps: Vec<_> = ended.answers.iter().map(|answer| answer.step_id.as_str()).collect();
    assert_eq!(steps, ["what", "name", "when"]);
}

#[tokio::test]
async fn a4_b6_a_flow_branches_on_opening_hours_that_change() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let mut hours = OpeningHoursServiceClient::new(account.admin());
    let schedule = |weekly_ranges| OpeningSchedule { time_zone: "UTC".into(), weekly_ranges, ..Default::default() };
    let create = CreateOpeningHoursRequest {
        name: "Office".into(),
        schedule: Some(schedule(Vec::new())),
        request_id: request_id(),
    };
    let office = hours.create_opening_hours(create).await.unwrap().into_inner().opening_hours.unwrap();
    let test = Test::OpeningHours(OpeningHoursCondition { opening_hours_id: office.id.clone() });
    let steps = vec![
        step("open", branch(test, "people")),
        step("closed", Action::Close(CloseStep { text: "We are closed.".into() })),
        step("people", Action::HandOff(HandOffStep { text: "A colleague comes.".into(), ..Default::default() })),
    ];
    let bot = create_bot(&account, Flow { steps }).await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("We are closed.").await;

    let all_day = |weekday| WeeklyRange { weekday, start_minute: 0, end_minute: 1_440 };
    let update = UpdateOpeningHoursRequest {
        opening_hours_id: office.id,
        schedule: Some(schedule((1..=7).map(all_day).collect())),
        ..Default::default()
    };
    hours.update_opening_hours(update).await.unwrap();
    suite.settled().await;
    let chat = account.start_chat(account.visitor("w"), &channel).await;
    chat.until_text("A colleague comes.").await;
}
