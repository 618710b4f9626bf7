//! What a stream of `WatchTurns` sends besides turns, when it ends, and a visitor who waits for an engine: rules A3, B2, B3, B4, B7.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{
        Bot, DeleteBotRequest, Turn, TurnOver, TurnOverReason, UndeleteBotRequest, UpdateBotRequest, WatchTurnsRequest,
        WatchTurnsResponse, watch_turns_response::Update,
    },
    conversation::{internal::v1::IdleOutcome, v1::CloseReason},
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::{Code, Status, Streaming};

use crate::{
    engines::{WAIT, answer, answer_to, engine, next_turn, patient_bot, say, watch},
    fixture::{Fixture, new_account},
    flows::flow,
    timeouts::{Asked, serve_idle, timed_out},
};

on_both_modes!(
    a3_b7_a_stream_says_that_the_session_of_its_turn_has_ended,
    b7_a_stream_says_that_the_deadline_of_its_turn_has_passed,
    b7_a_stream_has_room_again_for_each_turn_that_is_over,
    b7_a_stream_is_refused_to_a_bot_that_has_a_flow_or_was_deleted,
    b7_a_stream_ends_when_its_bot_gets_a_flow_or_is_deleted,
    b2_b7_sessions_keep_the_engine_of_a_deleted_bot_until_they_end,
    b3_b7_a_visitor_who_waits_for_the_engine_is_not_silent_and_one_who_never_wrote_is,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn next_over(stream: &mut Streaming<WatchTurnsResponse>) -> TurnOver {
    let next = async {
        loop {
            if let Some(Update::TurnOver(over)) = stream.message().await.unwrap().unwrap().update {
                return over;
            }
        }
    };
    tokio::time::timeout(WAIT, next).await.expect("a turn that is over")
}

/// The error that ends the stream.
async fn end_of(stream: &mut Streaming<WatchTurnsResponse>) -> Status {
    let end = async {
        loop {
            match stream.message().await {
                Ok(update) => assert!(update.is_some(), "the stream ended without an error"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(WAIT, end).await.expect("the end of the stream")
}

async fn delete(fixture: &Fixture, account: AccountId, bot: &Bot) {
    fixture.bots(account).delete_bot(DeleteBotRequest { bot_id: bot.id.clone() }).await.unwrap();
}

async fn set_flow(fixture: &Fixture, account: AccountId, bot: &Bot) {
    let update = UpdateBotRequest { bot_id: bot.id.clone(), flow: Some(flow()), ..UpdateBotRequest::default() };
    fixture.bots(account).update_bot(update).await.unwrap();
}

fn over(turn: &Turn, reason: TurnOverReason) -> TurnOver {
    TurnOver { turn_id: turn.id.clone(), attempt: turn.attempt, reason: reason.into() }
}

fn assert_no_engine(refused: &Status) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::FailedPrecondition, "BOT_HAS_NO_ENGINE"));
}

async fn a3_b7_a_stream_says_that_the_session_of_its_turn_has_ended(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let answered = fixture.start_chat(here, &bot, None).await;
    let mut turns = watch(&fixture, here, &bot, 5).await;
    let first = next_turn(&mut turns).await;
    answer(&fixture, here, &bot, answer_to(&first, vec![say("hi")], true)).await.unwrap();
    let chat = fixture.start_chat(here, &bot, None).await;
    let turn = next_turn(&mut turns).await;
    for ended in [&answered, &chat] {
        fixture.publish(here, &ended.closed(CloseReason::Agent)).await;
    }
    // Nothing is said of the turn that was answered.
    assert_eq!(next_over(&mut turns).await, over(&turn, TurnOverReason::SessionEnded));
}

async fn b7_a_stream_says_that_the_deadline_of_its_turn_has_passed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_engine(here, engine(600, 60)).await;
    fixture.start_chat(here, &bot, None).await;
    let mut turns = watch(&fixture, here, &bot, 1).await;
    for attempt in [1, 2] {
        let turn = next_turn(&mut turns).await;
        assert_eq!(turn.attempt, attempt);
        fixture.clock.advance(Duration::from_secs(61)).unwrap();
        // After the second one the chat goes to the team.
        assert_eq!(next_over(&mut turns).await, over(&turn, TurnOverReason::DeadlineExceeded));
    }
}

async fn b7_a_stream_has_room_again_for_each_turn_that_is_over(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let mut turns = watch(&fixture, here, &bot, 1).await;
    let mut chats = Vec::new();
    for _ in 0..3 {
        chats.push(fixture.start_chat(here, &bot, None).await);
    }
    for chat in &chats {
        let turn = next_turn(&mut turns).await;
        assert_eq!(turn.conversation_id, chat.conversation.to_string());
        assert_eq!(fixture.count("engine_turns WHERE state = 2").await, 1);
        fixture.publish(here, &chat.closed(CloseReason::Agent)).await;
        assert_eq!(next_over(&mut turns).await, over(&turn, TurnOverReason::SessionEnded));
    }
}

async fn b7_a_stream_is_refused_to_a_bot_that_has_a_flow_or_was_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, deleted) = patient_bot(&fixture).await;
    let with_flow = fixture.create_bot(here, flow()).await;
    // An open session of the flow needs no program.
    fixture.start_chat(here, &with_flow, None).await;
    delete(&fixture, here, &deleted).await;
    for bot in [&deleted, &with_flow] {
        let refused = fixture.engine(here, &bot.id).watch_turns(WatchTurnsRequest::default()).await.unwrap_err();
        assert_no_engine(&refused);
    }
    let undelete = UndeleteBotRequest { bot_id: deleted.id.clone() };
    fixture.bots(here).undelete_bot(undelete).await.unwrap();
    let chat = fixture.start_chat(here, &deleted, None).await;
    let turn = next_turn(&mut watch(&fixture, here, &deleted, 1).await).await;
    assert_eq!(turn.conversation_id, chat.conversation.to_string());
}

async fn b7_a_stream_ends_when_its_bot_gets_a_flow_or_is_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, deleted) = patient_bot(&fixture).await;
    let changed = fixture.create_engine(here, engine(600, 600)).await;
    let (mut of_deleted, mut of_changed) =
        (watch(&fixture, here, &deleted, 1).await, watch(&fixture, here, &changed, 1).await);
    delete(&fixture, here, &deleted).await;
    assert_no_engine(&end_of(&mut of_deleted).await);
    set_flow(&fixture, here, &changed).await;
    assert_no_engine(&end_of(&mut of_changed).await);
}

async fn b2_b7_sessions_keep_the_engine_of_a_deleted_bot_until_they_end(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot) = patient_bot(&fixture).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let mut before = watch(&fixture, here, &bot, 1).await;
    let first = next_turn(&mut before).await;
    set_flow(&fixture, here, &bot).await;
    delete(&fixture, here, &bot).await;
    answer(&fixture, here, &bot, answer_to(&first, vec![say("hi")], true)).await.unwrap();
    fixture.send(&chat, "still there?", "").await;
    let second = next_turn(&mut before).await;
    assert_eq!(second.number, 2);
    drop(before);
    // A new stream is accepted too, and ends with the session.
    let mut after = watch(&fixture, here, &bot, 1).await;
    answer(&fixture, here, &bot, answer_to(&second, vec![say("yes")], true)).await.unwrap();
    assert_eq!(fixture.said(&chat), ["hi", "yes"]);
    fixture.publish(here, &chat.closed(CloseReason::Agent)).await;
    assert_no_engine(&end_of(&mut after).await);
}

async fn b3_b7_a_visitor_who_waits_for_the_engine_is_not_silent_and_one_who_never_wrote_is(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let (here, bot) = patient_bot(&fixture).await;
    let waiting = fixture.start_chat(here, &bot, Some(MINUTE)).await;
    let silent = fixture.start_chat(here, &bot, Some(MINUTE)).await;
    fixture.send(&waiting, "hello?", "").await;
    fixture.clock.advance(MINUTE + Duration::from_secs(1)).unwrap();
    // The other deadline was earlier: a claim that finds this session finds both.
    timed_out(&fixture, &silent).await;
    assert_eq!((asked.times(&silent), asked.times(&waiting)), (1, 0));

    // After an answer that is later than the timeout the visitor has a whole timeout to write.
    let turn = next_turn(&mut watch(&fixture, here, &bot, 1).await).await;
    assert_eq!((turn.conversation_id.as_str(), turn.last_sequence), (waiting.conversation.to_string().as_str(), 1));
    answer(&fixture, here, &bot, answer_to(&turn, vec![say("sorry")], true)).await.unwrap();
    let deadline = Time::from_proto(&fixture.session(&waiting).await.unwrap().check_time.unwrap());
    assert!(deadline > fixture.clock.now().plus(MINUTE / 2), "{deadline:?}");
    assert_eq!(asked.times(&waiting), 0);
    fixture.clock.advance(MINUTE).unwrap();
    timed_out(&fixture, &waiting).await;
    assert_eq!(asked.times(&waiting), 1);
}
