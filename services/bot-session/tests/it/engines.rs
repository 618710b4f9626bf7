//! `WatchTurns`, and turns that no engine answers: rule B7.

use std::{collections::HashSet, time::Duration};

use frontdesk_db::AccountId;
use frontdesk_proto::botsession::v1::{
    AnswerTurnRequest, Bot, BotEngine, CreateBotRequest, Turn, TurnMessage, TurnPart, UpdateBotRequest,
    WatchTurnsRequest, WatchTurnsResponse, turn_part::Part, watch_turns_response::Update,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id, wait_until};
use prost_types::Timestamp;
use tonic::{Code, Status, Streaming};

use crate::{
    fixture::{Chat, Fixture, new_account, twenty},
    flows::flow,
};

on_both_modes!(
    b7_a_bot_has_a_flow_or_an_engine,
    b7_the_turns_of_a_session_come_in_order_one_at_a_time,
    b7_a_message_before_the_session_was_stored_is_in_the_first_turn,
    b7_twenty_events_store_one_turn,
    b7_two_streams_share_the_turns_and_none_comes_twice,
    b7_an_expired_lease_is_the_next_attempt_and_ends_the_one_before,
    b7_a_chat_whose_engine_is_not_connected_goes_to_the_team,
    b7_a_chat_whose_engine_does_not_answer_goes_to_the_team_after_the_last_attempt,
    s2_a_stream_of_an_unknown_bot_is_refused,
);

/// How long a test waits for a turn before it fails.
pub const WAIT: Duration = Duration::from_secs(60);

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// An engine that has this long to take a turn, and to answer it, twice.
pub fn engine(take: i64, answer: i64) -> BotEngine {
    BotEngine { take_timeout: seconds(take), answer_timeout: seconds(answer), max_attempts: 2 }
}

/// A bot of a new account whose turns wait for minutes.
pub async fn patient_bot(fixture: &Fixture) -> (AccountId, Bot) {
    let here = new_account();
    (here, fixture.create_engine(here, engine(600, 600)).await)
}

pub async fn watch(fixture: &Fixture, account: AccountId, bot: &Bot, max_turns: i32) -> Streaming<WatchTurnsResponse> {
    let request = WatchTurnsRequest { max_turns };
    fixture.engine(account, &bot.id).watch_turns(request).await.unwrap().into_inner()
}

pub async fn next_turn(stream: &mut Streaming<WatchTurnsResponse>) -> Turn {
    let next = async {
        loop {
            if let Some(Update::Turn(turn)) = stream.message().await.unwrap().unwrap().update {
                return turn;
            }
        }
    };
    tokio::time::timeout(WAIT, next).await.expect("a turn")
}

pub fn say(text: &str) -> TurnPart {
    part(Part::Message(TurnMessage { text: text.into(), buttons: Vec::new() }))
}

pub fn part(part: Part) -> TurnPart {
    TurnPart { part: Some(part) }
}

/// An answer with a new request id.
pub fn answer_to(turn: &Turn, parts: Vec<TurnPart>, ends_turn: bool) -> AnswerTurnRequest {
    let (turn_id, attempt, request_id) = (turn.id.clone(), turn.attempt, request_id());
    AnswerTurnRequest { turn_id, attempt, parts, ends_turn, request_id }
}

pub async fn answer(
    fixture: &Fixture,
    account: AccountId,
    bot: &Bot,
    request: AnswerTurnRequest,
) -> Result<Option<Timestamp>, Status> {
    Ok(fixture.engine(account, &bot.id).answer_turn(request).await?.into_inner().deadline_time)
}

pub fn hand_offs(fixture: &Fixture, chat: &Chat) -> Vec<String> {
    fixture.conversations.with(chat.conversation, |row| row.hand_offs.clone())
}

async fn b7_a_bot_has_a_flow_or_an_engine(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    assert_eq!((bot.engine, bot.flow.clone()), (Some(engine(600, 600)), None));
    let stored = fixture.bot(here, &bot.id).await.unwrap();
    assert_eq!((stored.engine, stored.flow), (Some(engine(600, 600)), None));

    let update = UpdateBotRequest { bot_id: bot.id.clone(), flow: Some(flow()), ..UpdateBotRequest::default() };
    let updated = fixture.bots(here).update_bot(update.clone()).await.unwrap().into_inner().bot.unwrap();
    assert_eq!((updated.engine, updated.flow), (None, Some(flow())));
    let both = UpdateBotRequest { engine: Some(engine(1, 1)), ..update };
    assert_eq!(fixture.bots(here).update_bot(both).await.unwrap_err().code(), Code::InvalidArgument);
    let neither = CreateBotRequest { name: "Robo".into(), request_id: request_id(), ..CreateBotRequest::default() };
    let refused = fixture.bots(here).create_bot(neither).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("flow: "), "{refused:?}");
}

async fn b7_the_turns_of_a_session_come_in_order_one_at_a_time(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let mut turns = watch(&fixture, here, &bot, 5).await;
    let first = next_turn(&mut turns).await;
    assert_eq!((first.number, first.attempt, first.last_sequence, first.sent_parts), (1, 1, 0, 0));
    assert_eq!(
        (first.bot_session_id.clone(), first.conversation_id.clone()),
        (chat.session.to_string(), chat.conversation.to_string())
    );
    answer(&fixture, here, &bot, answer_to(&first, vec![say("hi")], true)).await.unwrap();

    fixture.send(&chat, "one", "").await;
    let second = next_turn(&mut turns).await;
    // Written while the engine works on the second turn.
    fixture.send(&chat, "two", "").await;
    fixture.send(&chat, "three", "").await;
    assert_eq!((second.number, second.previous_sequence, second.last_sequence), (2, 0, 2));
    assert_eq!(fixture.count("engine_turns WHERE state <> 4").await, 1);
    answer(&fixture, here, &bot, answer_to(&second, vec![say("first answer")], true)).await.unwrap();
    let third = next_turn(&mut turns).await;
    assert_eq!((third.number, third.previous_sequence, third.last_sequence), (3, 2, 4));
    answer(&fixture, here, &bot, answer_to(&third, vec![say("second answer")], true)).await.unwrap();
    assert_eq!(fixture.said(&chat), ["hi", "first answer", "second answer"]);
    assert_eq!(fixture.count("engine_turns WHERE state <> 4").await, 0);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b7_a_message_before_the_session_was_stored_is_in_the_first_turn(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let chat = fixture.new_chat(here, &bot, None);
    // Its event comes before the session is stored, and finds nothing to answer.
    fixture.send(&chat, "hello?", "").await;
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    let turn = next_turn(&mut watch(&fixture, here, &bot, 5).await).await;
    assert_eq!((turn.number, turn.last_sequence), (1, 1));
}

async fn b7_twenty_events_store_one_turn(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let turn = next_turn(&mut watch(&fixture, here, &bot, 5).await).await;
    answer(&fixture, here, &bot, answer_to(&turn, vec![say("hi")], true)).await.unwrap();
    let sequence = fixture.append(&chat, "one", "");
    fixture.publish_all(&twenty(here, &chat.posted(sequence))).await;
    fixture.publish_all(&twenty(here, &chat.started)).await;
    fixture.settled().await;
    assert_eq!(fixture.count("engine_turns").await, 2);
}

async fn b7_two_streams_share_the_turns_and_none_comes_twice(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let (mut one, mut two) = (watch(&fixture, here, &bot, 1).await, watch(&fixture, here, &bot, 1).await);
    for _ in 0..6 {
        fixture.start_chat(here, &bot, None).await;
    }
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let turns = [next_turn(&mut one).await, next_turn(&mut two).await];
        // Each stream has one at a time.
        assert_eq!(fixture.count("engine_turns WHERE state = 2").await, 2);
        for turn in turns {
            assert_eq!(turn.attempt, 1);
            assert!(seen.insert(turn.id.clone()), "{turn:?} came twice");
            answer(&fixture, here, &bot, answer_to(&turn, vec![say("hi")], true)).await.unwrap();
        }
    }
    assert_eq!(fixture.count("engine_turns WHERE state = 4").await, 6);
}

async fn b7_an_expired_lease_is_the_next_attempt_and_ends_the_one_before(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_engine(here, engine(600, 60)).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let mut turns = watch(&fixture, here, &bot, 1).await;
    let first = next_turn(&mut turns).await;
    let extended = answer(&fixture, here, &bot, answer_to(&first, vec![say("hi")], false)).await.unwrap();
    assert!(extended.unwrap().seconds >= first.deadline_time.unwrap().seconds);

    fixture.clock.advance(Duration::from_secs(120)).unwrap();
    let second = next_turn(&mut turns).await;
    assert_eq!((second.id.clone(), second.attempt, second.sent_parts), (first.id.clone(), 2, 1));
    let late = answer(&fixture, here, &bot, answer_to(&first, vec![say("too late")], true)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::Aborted, "TURN_OVER"));
    assert_eq!(answer(&fixture, here, &bot, answer_to(&second, vec![say("again")], true)).await.unwrap(), None);
    let over = answer(&fixture, here, &bot, answer_to(&second, vec![say("more")], true)).await.unwrap_err();
    assert_eq!(reason(&over), "TURN_OVER");
    assert_eq!(fixture.said(&chat), ["hi", "again"]);
}

async fn b7_a_chat_whose_engine_is_not_connected_goes_to_the_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_engine(here, engine(60, 60)).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let patient = fixture.create_engine(here, engine(600, 60)).await;
    let waiting = fixture.start_chat(here, &patient, None).await;
    fixture.clock.advance(Duration::from_secs(61)).unwrap();
    let expected = ["The bot's program is not connected."];
    wait_until("the hand-off", || async { hand_offs(&fixture, &chat) == expected }).await;
    wait_until("the end of the turn", || async { fixture.count("engine_turns WHERE state = 4").await == 1 }).await;
    assert!(hand_offs(&fixture, &waiting).is_empty());
}

async fn b7_a_chat_whose_engine_does_not_answer_goes_to_the_team_after_the_last_attempt(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_engine(here, engine(600, 60)).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let mut turns = watch(&fixture, here, &bot, 1).await;
    for attempt in [1, 2] {
        assert_eq!(next_turn(&mut turns).await.attempt, attempt);
        assert!(hand_offs(&fixture, &chat).is_empty());
        fixture.clock.advance(Duration::from_secs(61)).unwrap();
    }
    let expected = ["The bot's program did not answer in time."];
    wait_until("the hand-off", || async { hand_offs(&fixture, &chat) == expected }).await;
    assert!(fixture.said(&chat).is_empty());
}

async fn s2_a_stream_of_an_unknown_bot_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (_, bot) = patient_bot(&fixture).await;
    let here = new_account();
    for unknown in [bot.id, new_id().to_string()] {
        let refused = fixture.engine(here, &unknown).watch_turns(WatchTurnsRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
}
