//! Bots that are programs of the customer's, and every way in which a bot's message travels, after a person has the chat.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    botsession::v1::{
        AnswerTurnRequest, AnswerTurnResponse, AskStep, Bot, BotEngine, BotReminder, CreateBotRequest, Flow,
        HandOffStep, SayStep, Step, Turn, TurnClose, TurnHandOff, TurnMessage, TurnOver, TurnOverReason, TurnPart,
        WatchTurnsRequest, WatchTurnsResponse, bot_engine_service_client::BotEngineServiceClient,
        bot_service_client::BotServiceClient, create_bot_request::Inactivity, step::Action, turn_part::Part,
        watch_turns_response::Update,
    },
    conversation::v1::{ConversationStatus, Entry, entry::Content},
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
};
use frontdesk_tests::{Account, As, Chat, Process, TestSuite, epoch_of, new_id, reason, request_id, wait_for};
use tonic::{Status, Streaming};

use crate::kills::retry;

/// How long a test waits for an update of a stream before it fails.
const WAIT: Duration = Duration::from_secs(30);

/// Inactivity timeout of the bots.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How a person gets the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    TakeOver,
    HandOff,
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// A bot that reminds a silent visitor after a minute and times out after two. Without a flow it is a program of the account's.
pub(crate) async fn create_bot(account: &Account, flow: Option<Flow>) -> Bot {
    let engine = BotEngine { take_timeout: seconds(600), answer_timeout: seconds(600), max_attempts: 0 };
    let request = CreateBotRequest {
        name: "Robin".into(),
        engine: flow.is_none().then_some(engine),
        flow,
        inactivity: Some(Inactivity::InactivityTimeout(TIMEOUT.try_into().unwrap())),
        reminder: Some(BotReminder { text: "Still there?".into(), before_end: seconds(60) }),
        request_id: request_id(),
    };
    BotServiceClient::new(account.admin()).create_bot(request).await.unwrap().into_inner().bot.unwrap()
}

fn engine(account: &Account, bot: &Bot) -> BotEngineServiceClient<As> {
    BotEngineServiceClient::new(account.with_claims(CallerKind::Bot, &bot.id, |_| {}))
}

async fn watch(account: &Account, bot: &Bot) -> Streaming<WatchTurnsResponse> {
    engine(account, bot).watch_turns(WatchTurnsRequest::default()).await.unwrap().into_inner()
}

/// The first update that `find` accepts.
async fn until<T>(stream: &mut Streaming<WatchTurnsResponse>, find: impl Fn(Update) -> Option<T>) -> T {
    let next = async {
        loop {
            if let Some(found) = stream.message().await.unwrap().unwrap().update.and_then(&find) {
                return found;
            }
        }
    };
    tokio::time::timeout(WAIT, next).await.expect("an update")
}

fn a_turn(update: Update) -> Option<Turn> {
    match update {
        Update::Turn(turn) => Some(turn),
        _ => None,
    }
}

fn an_end(update: Update) -> Option<TurnOver> {
    match update {
        Update::TurnOver(over) => Some(over),
        _ => None,
    }
}

fn say(text: &str) -> Part {
    Part::Message(TurnMessage { text: text.into(), buttons: Vec::new() })
}

fn answer_to(turn: &Turn, part: Part, ends_turn: bool) -> AnswerTurnRequest {
    let parts = vec![TurnPart { part: Some(part) }];
    AnswerTurnRequest { turn_id: turn.id.clone(), attempt: turn.attempt, parts, ends_turn, request_id: request_id() }
}

async fn answer(
    account: &Account,
    bot: &Bot,
    turn: &Turn,
    part: Part,
    ends_turn: bool,
) -> Result<AnswerTurnResponse, Status> {
    Ok(engine(account, bot).answer_turn(answer_to(turn, part, ends_turn)).await?.into_inner())
}

async fn take_over(agent: &As, chat: &Chat) {
    let take = TakeOverConversationRequest {
        conversation_id: chat.id.clone(),
        expected_epoch: epoch_of(agent, &chat.id).await,
        request_id: request_id(),
    };
    AssignmentServiceClient::new(agent.clone()).take_over_conversation(take).await.unwrap();
}

/// Texts of the bot's messages in the thread.
async fn said(agent: &As, chat: &Chat) -> Vec<String> {
    Account::thread(agent, &chat.id).await.into_iter().filter_map(text_of_bot).collect()
}

fn text_of_bot(entry: Entry) -> Option<String> {
    let by_bot = entry.author.is_some_and(|author| author.kind() == ActorKind::Bot);
    match entry.content {
        Some(Content::Message(message)) if by_bot => Some(message.text),
        _ => None,
    }
}

/// The chat is open, no bot is in charge of it, and the bot has said nothing but this.
async fn assert_left_to_people(agent: &As, chat: &Chat, expected: &[&str]) {
    let conversation = Account::conversation(agent, &chat.id).await;
    assert_eq!(conversation.status(), ConversationStatus::Open);
    assert!(conversation.bot_session.is_none());
    assert_eq!(said(agent, chat).await, expected);
}

#[tokio::test]
async fn a3_b7_b8_after_a_takeover_or_a_hand_off_an_engine_neither_answers_nor_hands_off_nor_closes() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, None).await;
    let channel = account.channel(Some(&bot)).await;
    let mut turns = watch(&account, &bot).await;
    for end in [End::TakeOver, End::HandOff] {
        let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
        let turn = until(&mut turns, a_turn).await;
        match end {
            End::TakeOver => take_over(&agent, &chat).await,
            End::HandOff => {
                let hand_off = Part::HandOff(TurnHandOff { reason: "asked".into(), ..TurnHandOff::default() });
                answer(&account, &bot, &turn, hand_off, true).await.unwrap();
            }
        }
        let close = Part::Close(TurnClose {});
        let hand_off = Part::HandOff(TurnHandOff::default());
        for part in [say("hi"), close, hand_off] {
            let refused = answer(&account, &bot, &turn, part, true).await.unwrap_err();
            assert_eq!(reason(&refused), "TURN_OVER", "after {end:?}");
        }
        // What the visitor writes now is for people.
        chat.say("hello?").await.unwrap();
        suite.settled().await;
        assert_left_to_people(&agent, &chat, &[]).await;
    }
}

#[tokio::test]
async fn a3_b7_b8_no_part_of_an_answer_is_said_after_a_takeover_and_its_stream_says_that_the_turn_is_over() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, None).await;
    let channel = account.channel(Some(&bot)).await;
    let mut turns = watch(&account, &bot).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let turn = until(&mut turns, a_turn).await;
    assert!(answer(&account, &bot, &turn, say("one"), false).await.unwrap().deadline_time.is_some());
    take_over(&agent, &chat).await;
    let refused = answer(&account, &bot, &turn, say("two"), false).await.unwrap_err();
    assert_eq!(reason(&refused), "TURN_OVER");
    let over = until(&mut turns, an_end).await;
    assert_eq!(
        (over.turn_id.as_str(), over.attempt, over.reason()),
        (turn.id.as_str(), 1, TurnOverReason::SessionEnded)
    );
    assert_left_to_people(&agent, &chat, &["one"]).await;
}

/// Says hello and then hands off what the visitor writes.
fn greeter() -> Flow {
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Step::default() };
    let ask = AskStep { text: "Your question?".into(), property: "question".into(), ..AskStep::default() };
    let hand_off = HandOffStep { reason: "asked".into(), ..HandOffStep::default() };
    Flow {
        steps: vec![
            step("hello", Action::Say(SayStep { text: "Hello!".into(), ..SayStep::default() })),
            step("ask", Action::Ask(ask)),
            step("people", Action::HandOff(hand_off)),
        ],
    }
}

#[tokio::test]
async fn a3_b6_b8_after_a_takeover_or_a_hand_off_a_flow_says_nothing() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, Some(greeter())).await;
    let channel = account.channel(Some(&bot)).await;
    for end in [End::TakeOver, End::HandOff] {
        let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
        chat.until_text("Your question?").await;
        match end {
            End::TakeOver => take_over(&agent, &chat).await,
            End::HandOff => {
                chat.say("about my bicycle").await.unwrap();
                wait_for("the hand-off", || async {
                    Account::conversation(&agent, &chat.id).await.bot_session.is_none().then_some(())
                })
                .await;
            }
        }
        for text in ["hello?", "is anyone there?"] {
            chat.say(text).await.unwrap();
        }
        suite.settled().await;
        assert_left_to_people(&agent, &chat, &["Hello!", "Your question?"]).await;
    }
    // The first turn, which the event of the start asks for, races the takeover: its messages come before it or not at all.
    let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
    take_over(&agent, &chat).await;
    let before = said(&agent, &chat).await;
    suite.settled().await;
    assert_eq!(said(&agent, &chat).await, before);
}

#[tokio::test]
async fn a3_b4_b8_after_a_takeover_or_a_hand_off_no_reminder_is_sent_and_no_timeout_closes() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, Some(greeter())).await;
    let channel = account.channel(Some(&bot)).await;
    let start = async || {
        let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
        chat.until_text("Your question?").await;
        chat
    };
    let (taken_over, handed_off, control) = (start().await, start().await, start().await);
    take_over(&agent, &taken_over).await;
    handed_off.say("about my bicycle").await.unwrap();
    wait_for("the hand-off", || async {
        Account::conversation(&agent, &handed_off.id).await.bot_session.is_none().then_some(())
    })
    .await;
    // The control shows that the time of the reminder, and of the timeout, has come.
    suite.advance(TIMEOUT / 2 + Duration::from_secs(5));
    control.until_text("Still there?").await;
    suite.advance(TIMEOUT / 2 + Duration::from_secs(5));
    Account::until_closed(&agent, &control.id).await;
    suite.settled().await;
    for chat in [&taken_over, &handed_off] {
        assert_left_to_people(&agent, chat, &["Hello!", "Your question?"]).await;
    }
}

#[tokio::test]
async fn b4_time_that_is_advanced_past_a_reminder_and_its_timeout_brings_both_in_their_order() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, Some(greeter())).await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your question?").await;
    suite.settled().await;
    suite.advance(2 * TIMEOUT);
    Account::until_closed(&agent, &chat.id).await;
    assert_eq!(said(&agent, &chat).await, ["Hello!", "Your question?", "Still there?"]);
}

/// A call that is cut off by a kill may have taken effect or not; its repeat under the same request id settles it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_c12_kills_between_a_lease_an_answer_and_its_effect_lose_and_repeat_no_turn() {
    const ROUNDS: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    let (_, agent) = account.agent("Ada").await;
    let bot = create_bot(&account, None).await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let next = async || until(&mut opened(&account, &bot).await, a_turn).await;

    // Killed between the lease and the answer: the lease is the turn's, not the stream's.
    let mut turn = next().await;
    process.kill().await;
    process.restart().await;
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("answer {round}");
        let request = answer_to(&turn, say(&text), true);
        // Killed while the answer takes effect, at a later moment in each round.
        let (mut engine_calls, sent) = (engine(&account, &bot), request.clone());
        let cut_off = tokio::spawn(async move { engine_calls.answer_turn(sent).await.is_ok() });
        tokio::time::sleep(Duration::from_millis(2 * round)).await;
        process.kill().await;
        let _ = cut_off.await;
        process.restart().await;
        retry(|| async { engine(&account, &bot).answer_turn(request.clone()).await }).await;
        expected.push(text);
        assert_eq!(said(&agent, &chat).await, expected);
        chat.say("and then?").await.unwrap();
        turn = next().await;
        assert_eq!(turn.number, i32::try_from(round).unwrap() + 2, "no turn is lost or repeated");
    }
    // Killed with a stream that has a lease which its engine did not see: it is sent again after its deadline.
    answer(&account, &bot, &turn, say("last but one"), true).await.unwrap();
    let mut unread = opened(&account, &bot).await;
    until(&mut unread, |update| matches!(update, Update::CaughtUp(_)).then_some(())).await;
    chat.say("one more").await.unwrap();
    until(&mut unread, a_turn).await;
    process.kill().await;
    process.restart().await;
    retry(|| async {
        let by = AdvanceTimeRequest { by: seconds(601) };
        ClockServiceClient::new(account.admin()).advance_time(by).await
    })
    .await;
    let again = next().await;
    assert_eq!((again.number, again.attempt, again.sent_parts), (turn.number + 1, 2, 0));
    answer(&account, &bot, &again, say("last"), true).await.unwrap();
    expected.extend(["last but one".to_owned(), "last".to_owned()]);
    assert_eq!(said(&agent, &chat).await, expected);
}

/// A stream of turns, opened again until the process answers.
async fn opened(account: &Account, bot: &Bot) -> Streaming<WatchTurnsResponse> {
    retry(|| async { engine(account, bot).watch_turns(WatchTurnsRequest::default()).await }).await
}
