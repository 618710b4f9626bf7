//! Turns that end their session: the conversation ends it before the turn is recorded (rules A3, B6, B7, B8).

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use frontdesk_proto::{
    botsession::v1::{
        AskStep, BotSession, BotSessionStatus, Flow, HandOffStep, TurnClose, step::Action, turn_part::Part,
    },
    conversation::{
        internal::v1::{
            CloseByBotRequest, CloseByBotResponse, HandOffConversationRequest, HandOffConversationResponse,
            PostBotMessageRequest, PostBotMessageResponse,
        },
        v1::{CloseReason, ListEntriesRequest},
    },
    event::v1::{ConversationHandedOff, Event},
};
use frontdesk_testkit::{Mode, on_both_modes, reason, refused, wait_until};
use tonic::{Code, Request, Status};

use crate::{
    engines::{answer, answer_to, next_turn, part, patient_bot, say, watch},
    fixture::{Chat, Fixture, event, new_account},
    flow_steps::{ask, close, start},
    flows::{GAVE_UP, flow, step},
};

on_both_modes!(
    b6_the_last_answer_counts_when_the_end_that_its_turn_asked_for_comes_first,
    b6_b8_a_last_turn_that_was_not_recorded_is_recorded_by_its_repeat_after_the_end,
    b6_a_first_turn_that_ended_its_session_is_recorded_by_its_repeat,
    b7_a_session_that_was_given_up_takes_no_turn_after_its_end,
    b7_c12_an_answer_that_closed_the_chat_is_repeated_after_the_end,
);

/// Asks `plan?` and takes this last step.
fn plan_then(last: Action) -> Flow {
    Flow { steps: vec![step("plan", Action::Ask(ask("plan?", "plan"))), step("last", last)] }
}

fn closed(chat: &Chat) -> Event {
    event(chat.account, &chat.closed(CloseReason::BotCompleted))
}

fn handed_off(chat: &Chat) -> Event {
    let (conversation_id, bot_session_id) = (chat.conversation.to_string(), chat.session.to_string());
    let handed_off = ConversationHandedOff { conversation_id, bot_session_id, ..ConversationHandedOff::default() };
    event(chat.account, &handed_off)
}

/// Publishes the end of a chat and waits until its session has ended, while the service waits for the answer of a call.
fn end_meanwhile(fixture: &Weak<Fixture>, chat: &Chat, end: &Event) {
    let service = fixture.upgrade().expect("the service of the test");
    let end = async {
        service.publish_all(std::slice::from_ref(end)).await;
        let is_over = || async { service.session(chat).await.unwrap().status() != BotSessionStatus::Open };
        wait_until("the end of the session", is_over).await;
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(end));
}

/// The answer of the call that ends a chat: the first one takes effect, the session ends, and the response is lost, so that the turn is not
/// recorded, as when the process dies. INTERNAL, because the client itself repeats what is UNAVAILABLE.
fn ends_and_is_lost(
    fixture: &Arc<Fixture>,
    chat: &Chat,
    end: Event,
) -> Box<dyn Fn() -> Result<(), Status> + Send + Sync> {
    let (service, conversations, chat) = (Arc::downgrade(fixture), fixture.conversations.clone(), chat.clone());
    let lost = AtomicBool::new(false);
    Box::new(move || {
        if lost.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        conversations.with(chat.conversation, |row| row.release());
        end_meanwhile(&service, &chat, &end);
        Err(Status::internal("the response was lost"))
    })
}

fn answered(session: &BotSession) -> Vec<&str> {
    session.answers.iter().map(|answer| answer.step_id.as_str()).collect()
}

async fn b6_the_last_answer_counts_when_the_end_that_its_turn_asked_for_comes_first(mode: Mode) {
    let fixture = Arc::new(Fixture::start(mode).await);
    let chat = start(&fixture, plan_then(close("bye"))).await;
    let (service, ended) = (Arc::downgrade(&fixture), chat.clone());
    fixture.fake.on(move |_: Request<CloseByBotRequest>| {
        end_meanwhile(&service, &ended, &closed(&ended));
        Ok(CloseByBotResponse::default())
    });
    fixture.send(&chat, "gold", "").await;
    let session = fixture.session(&chat).await.unwrap();
    assert_eq!((answered(&session), session.turn_count), (vec!["plan"], 2));
    assert_eq!(session.status(), BotSessionStatus::Completed);
}

async fn b6_b8_a_last_turn_that_was_not_recorded_is_recorded_by_its_repeat_after_the_end(mode: Mode) {
    let fixture = Arc::new(Fixture::start(mode).await);
    let closing = start(&fixture, plan_then(close("bye"))).await;
    let lost_close = ends_and_is_lost(&fixture, &closing, closed(&closing));
    fixture.fake.on(move |_: Request<CloseByBotRequest>| lost_close().map(|()| CloseByBotResponse::default()));

    let hand_off = HandOffStep { text: "wait".into(), ..HandOffStep::default() };
    let handing_off = start(&fixture, plan_then(Action::HandOff(hand_off))).await;
    let lost_hand_off = ends_and_is_lost(&fixture, &handing_off, handed_off(&handing_off));
    fixture.fake.on(move |_: Request<HandOffConversationRequest>| {
        lost_hand_off().map(|()| HandOffConversationResponse::default())
    });

    let ends = [(&closing, "bye", BotSessionStatus::Completed), (&handing_off, "wait", BotSessionStatus::HandedOff)];
    for (chat, last, status) in ends {
        fixture.send(chat, "gold", "").await;
        let session = fixture.session(chat).await.unwrap();
        assert_eq!((answered(&session), session.turn_count, session.step_id.as_str()), (vec!["plan"], 2, ""));
        assert_eq!(session.status(), status);
        // Nothing took effect twice.
        assert_eq!(fixture.said(chat), ["plan?", last]);
        let answers = fixture.conversations.with(chat.conversation, |row| row.answers.clone());
        assert_eq!(answers, [("plan".to_owned(), "gold".to_owned())]);
    }
    assert_eq!(fixture.fake.calls::<CloseByBotRequest>(), 2);
    assert_eq!(fixture.fake.calls::<HandOffConversationRequest>(), 2);

    // Once it is recorded, a message that was written before the end causes no further call.
    let reads = fixture.fake.calls::<ListEntriesRequest>();
    fixture.send(&closing, "silver", "").await;
    fixture.send(&handing_off, "silver", "").await;
    assert_eq!(fixture.fake.calls::<ListEntriesRequest>(), reads);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_first_turn_that_ended_its_session_is_recorded_by_its_repeat(mode: Mode) {
    let fixture = Arc::new(Fixture::start(mode).await);
    let what = AskStep { accepts_first_message: true, ..ask("what?", "question") };
    let steps = vec![step("what", Action::Ask(what)), step("bye", close("bye"))];
    let here = new_account();
    let bot = fixture.create_bot(here, Flow { steps }).await;
    let chat = fixture.new_chat(here, &bot, None);
    fixture.append(&chat, "My wheel squeaks", "");
    let lost_close = ends_and_is_lost(&fixture, &chat, closed(&chat));
    fixture.fake.on(move |_: Request<CloseByBotRequest>| lost_close().map(|()| CloseByBotResponse::default()));
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    let session = fixture.session(&chat).await.unwrap();
    assert_eq!((answered(&session), session.turn_count), (vec!["what"], 1));
    assert_eq!((session.status(), fixture.said(&chat)), (BotSessionStatus::Completed, vec!["bye".to_owned()]));
    assert_eq!(fixture.count("bot_sessions WHERE choices IS NOT NULL").await, 0);
}

async fn b7_a_session_that_was_given_up_takes_no_turn_after_its_end(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start(&fixture, flow()).await;
    fixture.fake.on(|_: Request<PostBotMessageRequest>| -> Result<PostBotMessageResponse, Status> {
        Err(refused(Code::InvalidArgument, "INVALID_FIELDS", []))
    });
    fixture.send(&chat, "ada@example.org", "").await;
    fixture.publish_all(&[handed_off(&chat)]).await;
    fixture.settled().await;
    let before = fixture.session(&chat).await.unwrap();
    assert_eq!((before.status(), before.step_id.as_str()), (BotSessionStatus::HandedOff, "mail"));
    // It was written before the end, and arrives after it.
    fixture.send(&chat, "hello?", "").await;
    assert_eq!(fixture.session(&chat).await.unwrap(), before);
    assert_eq!(fixture.fake.calls::<HandOffConversationRequest>(), 1);
    assert_eq!(fixture.conversations.with(chat.conversation, |row| row.hand_offs.clone()), [GAVE_UP]);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b7_c12_an_answer_that_closed_the_chat_is_repeated_after_the_end(mode: Mode) {
    let fixture = Arc::new(Fixture::start(mode).await);
    let (here, bot) = patient_bot(&fixture).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let turn = next_turn(&mut watch(&fixture, here, &bot, 1).await).await;
    let lost_close = ends_and_is_lost(&fixture, &chat, closed(&chat));
    fixture.fake.on(move |_: Request<CloseByBotRequest>| lost_close().map(|()| CloseByBotResponse::default()));
    let close = || part(Part::Close(TurnClose {}));
    let request = answer_to(&turn, vec![say("bye"), close()], true);
    let lost = answer(&fixture, here, &bot, request.clone()).await.unwrap_err();
    assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Unavailable, "CONVERSATION_UNAVAILABLE"));
    for _ in 0..2 {
        assert_eq!(answer(&fixture, here, &bot, request.clone()).await.unwrap(), None);
    }
    assert_eq!((fixture.said(&chat), fixture.fake.calls::<CloseByBotRequest>()), (vec!["bye".to_owned()], 2));
    let other = answer(&fixture, here, &bot, answer_to(&turn, vec![close()], true)).await.unwrap_err();
    assert_eq!(reason(&other), "TURN_OVER");
}
