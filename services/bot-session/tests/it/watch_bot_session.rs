use std::time::Duration;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{
        BotSession, BotSessionStatus, WatchBotSessionRequest, WatchBotSessionResponse,
        watch_bot_session_response::Update,
    },
    conversation::v1::CloseReason,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, new_account},
    flows::flow,
};

on_both_modes!(
    b6_a_watch_sends_the_session_after_each_change_and_after_its_end,
    s2_a_session_of_another_account_is_not_watched,
);

async fn watch(
    fixture: &Fixture,
    account: AccountId,
    session: Uuid,
) -> Result<Streaming<WatchBotSessionResponse>, Status> {
    let request = WatchBotSessionRequest { bot_session_id: session.to_string() };
    Ok(fixture.sessions(account).watch_bot_session(request).await?.into_inner())
}

async fn next(stream: &mut Streaming<WatchBotSessionResponse>) -> Update {
    let update = tokio::time::timeout(Duration::from_secs(10), stream.message()).await;
    update.expect("an update").unwrap().unwrap().update.unwrap()
}

/// The next state for which the condition holds.
async fn until(stream: &mut Streaming<WatchBotSessionResponse>, holds: impl Fn(&BotSession) -> bool) -> BotSession {
    loop {
        if let Update::BotSession(session) = next(stream).await
            && holds(&session)
        {
            return session;
        }
    }
}

async fn b6_a_watch_sends_the_session_after_each_change_and_after_its_end(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, Some(Duration::from_secs(90))).await;
    let mut stream = watch(&fixture, here, chat.session).await.unwrap();
    let Update::BotSession(first) = next(&mut stream).await else { panic!("the session comes first") };
    assert_eq!(first, fixture.session(&chat).await.unwrap());
    assert_eq!((first.step_id.as_str(), first.turn_count, first.inactivity_timeout.unwrap().seconds), ("mail", 1, 90));
    assert!(matches!(next(&mut stream).await, Update::CaughtUp(_)));

    fixture.send(&chat, "no", "").await;
    let asked_again = until(&mut stream, |session| session.turn_count == 2).await;
    assert_eq!((asked_again.version, asked_again.answers.len()), (first.version, 0));
    fixture.send(&chat, "ada@example.org", "").await;
    let answered = until(&mut stream, |session| session.step_id == "topic").await;
    assert_eq!((answered.version, answered.answers[0].step_id.as_str()), (first.version + 1, "mail"));
    fixture.publish(here, &chat.closed(CloseReason::Agent)).await;
    let ended = until(&mut stream, |session| session.status() == BotSessionStatus::Closed).await;
    assert_eq!((ended.turn_count, ended.end_time.is_some()), (3, true));
}

async fn s2_a_session_of_another_account_is_not_watched(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let there = new_account();
    let foreign = watch(&fixture, there, chat.session).await.unwrap_err();
    let absent = watch(&fixture, there, new_id()).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!((foreign.code(), foreign.message()), (absent.code(), absent.message()));
}
