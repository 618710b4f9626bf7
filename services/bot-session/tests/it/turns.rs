use std::sync::atomic::Ordering;

use frontdesk_proto::botsession::v1::{
    AskStep, BotSessionStatus, ButtonsStep, CloseStep, Flow, FlowButton, HandOffStep, SayStep, Step,
};

use crate::suite::{Chat, Suite, account, spoke};

/// hi, mail?, topic? (People: hand off, Bye: close)
pub fn flow() -> Flow {
    let step = |id: &str| Step { id: id.into(), ..Step::default() };
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let ask = AskStep { text: "mail?".into(), property: "email".into(), retry_text: "again?".into(), check: 0 };
    let buttons = vec![button("p", "People", ""), button("b", "Bye", "bye")];
    let hand_off = HandOffStep { text: "wait".into(), reason: "asked".into(), agent_id: String::new() };
    Flow {
        steps: vec![
            Step { say: Some(SayStep { text: "hi".into() }), ..step("hi") },
            Step { ask: Some(ask), ..step("mail") },
            Step { buttons: Some(ButtonsStep { text: "topic?".into(), buttons }), ..step("topic") },
            Step { hand_off: Some(hand_off), ..step("people") },
            Step { close: Some(CloseStep { text: "bye".into() }), ..step("bye") },
        ],
    }
}

pub async fn started(suite: &Suite) -> Chat {
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let chat = suite.chat(here, &bot, None).await;
    suite.publish(here, &chat.started).await;
    suite.waits_at(&chat, "mail").await;
    chat
}

#[tokio::test]
async fn b6_a_flow_runs_to_its_hand_off_and_keeps_the_answers() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.speak(&chat, "no", "").await;
    suite.said(&chat, &["hi", "mail?", "again?"]).await;
    suite.speak(&chat, " ada@example.org ", "").await;
    suite.waits_at(&chat, "topic").await;
    suite.speak(&chat, "hm", "").await;
    suite.said(&chat, &["hi", "mail?", "again?", "topic?", "Please choose one of these:"]).await;
    suite.speak(&chat, "People", "p").await;
    suite.said(&chat, &["hi", "mail?", "again?", "topic?", "Please choose one of these:", "wait"]).await;
    suite.waits_at(&chat, "").await;
    assert_eq!(suite.arbiter.answers(chat.conversation), [("email".into(), "ada@example.org".into())]);
    assert_eq!(suite.arbiter.handed_off(chat.conversation), ["asked"]);
}

#[tokio::test]
async fn b6_messages_are_answered_once_in_their_order_whatever_the_events_do() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    let texts = ["ada@example.org", "huh", " bye "];
    let sequences = texts.map(|text| suite.arbiter.visitor_says(chat.conversation, text, ""));
    for sequence in [sequences[2], sequences[0], sequences[1], sequences[0], sequences[2]] {
        suite.publish(chat.account, &spoke(&chat, sequence)).await;
    }
    suite.publish(chat.account, &chat.started).await;
    suite.said(&chat, &["hi", "mail?", "topic?", "Please choose one of these:", "bye"]).await;
    suite.waits_at(&chat, "").await;
    assert_eq!(suite.arbiter.closed(chat.conversation), 1);
}

#[tokio::test]
async fn b6_a_stray_choice_is_answered_by_offering_the_buttons_again() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.speak(&chat, "ada@example.org", "").await;
    suite.waits_at(&chat, "topic").await;
    // Another question's button, with the label of one of this question's.
    suite.speak(&chat, "Bye", "stray").await;
    let again = "Please choose one of these:";
    suite.said(&chat, &["hi", "mail?", "topic?", again]).await;
    suite.waits_at(&chat, "topic").await;
    assert_eq!(suite.arbiter.closed(chat.conversation), 0);
    suite.speak(&chat, " bye ", "").await;
    suite.said(&chat, &["hi", "mail?", "topic?", again, "bye"]).await;
}

#[tokio::test]
async fn b6_an_act_whose_answer_was_lost_is_done_once() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.lose_an_answer.store(true, Ordering::SeqCst);
    suite.speak(&chat, "ada@example.org", "").await;
    suite.waits_at(&chat, "topic").await;
    suite.said(&chat, &["hi", "mail?", "topic?"]).await;
}

#[tokio::test]
async fn b6_an_answer_that_the_contact_refuses_is_asked_again() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.refused.lock().unwrap().insert("ada@example.org".into());
    suite.speak(&chat, "ada@example.org", "").await;
    suite.said(&chat, &["hi", "mail?", "again?"]).await;
    suite.speak(&chat, "bob@example.org", "").await;
    suite.said(&chat, &["hi", "mail?", "again?", "topic?"]).await;
}

#[tokio::test]
async fn b6_what_was_said_before_the_first_question_is_no_answer_to_it() {
    let suite = Suite::start().await;
    let here = account();
    let bot = suite.bot(here, flow()).await;
    let chat = suite.chat(here, &bot, None).await;
    suite.speak(&chat, "hello, anybody there?", "").await;
    suite.publish(here, &chat.started).await;
    suite.waits_at(&chat, "mail").await;
    suite.speak(&chat, "ada@example.org", "").await;
    suite.said(&chat, &["hi", "mail?", "topic?"]).await;
}

#[tokio::test]
async fn a3_a_bot_says_nothing_after_a_person_took_over() {
    let suite = Suite::start().await;
    let chat = started(&suite).await;
    suite.arbiter.take_over(chat.conversation);
    suite.speak(&chat, "ada@example.org", "").await;
    let taken = frontdesk_proto::event::v1::AssigneeChanged {
        conversation_id: chat.conversation.to_string(),
        epoch: 2,
        ended_bot_session_id: chat.session.to_string(),
        ..Default::default()
    };
    suite.publish(chat.account, &taken).await;
    suite.stands(&chat, BotSessionStatus::TakenOver).await;
    suite.said(&chat, &["hi", "mail?"]).await;
    assert!(suite.arbiter.answers(chat.conversation).is_empty());
}
