use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    botsession::v1::BotSessionStatus,
    conversation::{
        internal::v1::{PostBotMessageRequest, PostBotMessageResponse, RecordAnswerRequest, RecordAnswerResponse},
        v1::{Entry, ListEntriesRequest, ListEntriesResponse, Message},
    },
    event::v1::{AssigneeChanged, BotSessionStepReached, Event, MessagePosted},
};
use frontdesk_testkit::{Mode, on_both_modes, refused, wait_until};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{Chat, Fixture, event, new_account, twenty},
    flows::{GAVE_UP, OFFER_AGAIN, flow, two_questions},
};

on_both_modes!(
    b6_a_flow_runs_to_its_hand_off_and_keeps_the_answers,
    b6_messages_are_answered_once_in_their_order_whatever_the_events_do,
    b6_twenty_events_of_one_message_are_answered_once,
    b6_a_stray_choice_is_answered_by_offering_the_buttons_again,
    b6_an_action_whose_response_was_lost_takes_effect_once,
    b6_an_answer_that_the_contact_rejects_is_asked_again,
    b6_a_message_before_the_first_question_does_not_answer_it,
    b6_a_flood_is_answered_page_by_page_and_an_answered_message_is_not_read_again,
    b6_short_pages_are_read_to_the_end,
    b6_a_page_of_long_messages_is_read,
    b6_b7_a_thread_that_is_unavailable_is_retried_and_one_that_is_too_large_goes_to_the_team,
    b6_a_click_on_an_earlier_question_does_not_answer_the_next,
    b6_what_people_paste_and_type_is_taken,
    b7_a_turn_that_is_rejected_for_ever_hands_the_chat_to_the_team_once,
    b7_a_turn_that_fails_for_minutes_hands_the_chat_to_the_team,
    b7_a_flow_that_cannot_be_read_hands_the_chat_to_the_team,
    b6_a_session_that_has_a_copy_of_its_flow_runs_it,
    a3_a_bot_says_nothing_after_a_person_took_over,
    s2_a_message_of_another_account_and_one_that_is_not_the_visitors_are_not_answered,
);

async fn start_chat(fixture: &Fixture) -> Chat {
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    chat
}

async fn step(fixture: &Fixture, chat: &Chat) -> String {
    fixture.session(chat).await.unwrap().step_id
}

fn hand_offs(fixture: &Fixture, chat: &Chat) -> Vec<String> {
    fixture.conversations.with(chat.conversation, |row| row.hand_offs.clone())
}

fn closes(fixture: &Fixture, chat: &Chat) -> usize {
    fixture.conversations.with(chat.conversation, |row| row.closes)
}

fn answers(fixture: &Fixture, chat: &Chat) -> Vec<(String, String)> {
    fixture.conversations.with(chat.conversation, |row| row.answers.clone())
}

async fn b6_a_flow_runs_to_its_hand_off_and_keeps_the_answers(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    fixture.send(&chat, "no", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?"]);
    fixture.send(&chat, " ada@example.org ", "").await;
    assert_eq!(step(&fixture, &chat).await, "topic");
    fixture.send(&chat, "hm", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?", "topic?", OFFER_AGAIN]);
    fixture.send(&chat, "People", "p").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?", "topic?", OFFER_AGAIN, "wait"]);
    assert_eq!(step(&fixture, &chat).await, "");
    assert_eq!(answers(&fixture, &chat), [("email".into(), "ada@example.org".into())]);
    assert_eq!(fixture.conversations.with(chat.conversation, |row| row.hand_offs.clone()), ["asked"]);
    let steps: Vec<String> =
        fixture.events().await.into_iter().map(|event: BotSessionStepReached| event.step_id).collect();
    assert_eq!(steps, ["mail", "topic", ""]);
}

async fn b6_messages_are_answered_once_in_their_order_whatever_the_events_do(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let sequences = ["ada@example.org", "huh", " bye "].map(|text| fixture.append(&chat, text, ""));
    for sequence in [sequences[2], sequences[0], sequences[1], sequences[0], sequences[2]] {
        fixture.publish(chat.account, &chat.posted(sequence)).await;
    }
    fixture.publish(chat.account, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?", OFFER_AGAIN, "bye"]);
    assert_eq!((step(&fixture, &chat).await.as_str(), closes(&fixture, &chat)), ("", 1));
}

async fn b6_twenty_events_of_one_message_are_answered_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let sequence = fixture.append(&chat, "no", "");
    fixture.publish_all(&twenty(chat.account, &chat.posted(sequence))).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?"]);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_stray_choice_is_answered_by_offering_the_buttons_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    fixture.send(&chat, "ada@example.org", "").await;
    // The button of another step, with the label of one of this step's buttons.
    fixture.send(&chat, "Bye", "stray").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?", OFFER_AGAIN]);
    assert_eq!((step(&fixture, &chat).await.as_str(), closes(&fixture, &chat)), ("topic", 0));
    fixture.send(&chat, " bye ", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?", OFFER_AGAIN, "bye"]);
}

async fn b6_an_action_whose_response_was_lost_takes_effect_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let (conversations, posted) = (fixture.conversations.clone(), Mutex::new(HashMap::<String, i32>::new()));
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        let request = request.into_inner();
        let mut posted = posted.lock().unwrap();
        if let Some(sequence) = posted.get(&request.request_id) {
            let entry = Entry { sequence: *sequence, ..Entry::default() };
            return Ok(PostBotMessageResponse { entry: Some(entry) });
        }
        let id: Uuid = request.conversation_id.parse().unwrap();
        let message = Message { text: request.text, ..Message::default() };
        posted.insert(request.request_id, conversations.with(id, |row| row.append(ActorKind::Bot, message)));
        Err(Status::unavailable("the response was lost"))
    });
    fixture.send(&chat, "ada@example.org", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?"]);
    assert_eq!(step(&fixture, &chat).await, "topic");
}

async fn b6_an_answer_that_the_contact_rejects_is_asked_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let recorded = Arc::new(Mutex::new(Vec::<String>::new()));
    let seen = recorded.clone();
    fixture.fake.on(move |request: Request<RecordAnswerRequest>| {
        seen.lock().unwrap().push(request.get_ref().request_id.clone());
        match request.get_ref().value.as_str() {
            "ada@example.org" => Err(refused(Code::InvalidArgument, "INVALID_FIELDS", [])),
            _ => Ok(RecordAnswerResponse::default()),
        }
    });
    fixture.send(&chat, "ada@example.org", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?"]);
    assert_eq!(step(&fixture, &chat).await, "mail");
    fixture.send(&chat, "bob@example.org", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "again?", "topic?"]);
    // C12: no two actions share an id, also the answer and the question that is asked again instead.
    let mut ids: Vec<String> = recorded.lock().unwrap().clone();
    ids.extend(fixture.conversations.with(chat.conversation, |row| {
        row.entries.iter().map(|entry| entry.request_id.clone()).filter(|id| !id.is_empty()).collect::<Vec<_>>()
    }));
    assert!(ids.iter().all(|id| !id.is_empty()) && ids.len() == 6, "{ids:?}");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 6, "{ids:?}");
}

async fn b6_a_message_before_the_first_question_does_not_answer_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.new_chat(here, &bot, None);
    fixture.send(&chat, "is anyone there?", "").await;
    assert!(fixture.said(&chat).is_empty(), "the session has not started");
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    fixture.send(&chat, "ada@example.org", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?"]);
}

/// Serves the threads in pages of up to `size` entries.
fn serve_pages(fixture: &Fixture, size: i32) {
    let conversations = fixture.conversations.clone();
    fixture.fake.on(move |request: Request<ListEntriesRequest>| {
        let request = request.into_inner();
        assert_eq!(request.page_size, 50);
        let id: Uuid = request.conversation_id.parse().unwrap();
        conversations.with(id, |row| row.page(&ListEntriesRequest { page_size: size, ..request.clone() }))
    });
}

/// Appends this many messages that fail the check, then publishes their events.
async fn flood(fixture: &Fixture, chat: &Chat, messages: usize) {
    let sequences: Vec<i32> = (0..messages).map(|_| fixture.append(chat, "no", "")).collect();
    let events: Vec<_> = sequences.iter().map(|sequence| event(chat.account, &chat.posted(*sequence))).collect();
    fixture.publish_all(&events).await;
    fixture.settled().await;
}

async fn b6_a_flood_is_answered_page_by_page_and_an_answered_message_is_not_read_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    serve_pages(&fixture, 50);
    let before = fixture.fake.calls::<ListEntriesRequest>();
    flood(&fixture, &chat, 100).await;
    assert_eq!(fixture.said(&chat).len(), 102);
    let reads = fixture.fake.calls::<ListEntriesRequest>() - before;
    assert!(reads <= 10, "{reads} reads for 100 messages");

    let before = fixture.fake.calls::<ListEntriesRequest>();
    fixture.publish(chat.account, &chat.posted(3)).await;
    fixture.settled().await;
    assert_eq!(fixture.fake.calls::<ListEntriesRequest>(), before);
}

async fn b6_short_pages_are_read_to_the_end(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    serve_pages(&fixture, 1);
    flood(&fixture, &chat, 7).await;
    assert_eq!(fixture.said(&chat).len(), 9);
}

async fn b6_a_page_of_long_messages_is_read(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    serve_pages(&fixture, 50);
    // The longest text of a message, in characters of four bytes.
    let long = "\u{1f600}".repeat(10_000);
    let sequences: Vec<i32> = (0..50).map(|_| fixture.append(&chat, &long, "")).collect();
    fixture.publish(chat.account, &chat.posted(sequences[49])).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat).len(), 52);
}

async fn b6_b7_a_thread_that_is_unavailable_is_retried_and_one_that_is_too_large_goes_to_the_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let code = Arc::new(Mutex::new(Code::Unavailable));
    let answer = code.clone();
    fixture.fake.on(move |_: Request<ListEntriesRequest>| -> Result<ListEntriesResponse, Status> {
        Err(Status::new(*answer.lock().unwrap(), "unreadable"))
    });
    let before = fixture.fake.calls::<ListEntriesRequest>();
    let sequence = fixture.append(&chat, "no", "");
    fixture.publish(chat.account, &chat.posted(sequence)).await;
    wait_until("two retries", || async { fixture.fake.calls::<ListEntriesRequest>() >= before + 3 }).await;
    assert!(fixture.dead_letters().await.is_empty());

    *code.lock().unwrap() = Code::OutOfRange;
    fixture.settled().await;
    assert_eq!(hand_offs(&fixture, &chat), [GAVE_UP]);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_click_on_an_earlier_question_does_not_answer_the_next(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, two_questions()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    // Both wait when the bot reads the thread.
    let typed = fixture.append(&chat, "yes", "");
    let clicked = fixture.append_choice(&chat, "Yes", "yes", 1);
    fixture.publish_all(&[event(here, &chat.posted(typed)), event(here, &chat.posted(clicked))]).await;
    fixture.settled().await;
    assert_eq!((step(&fixture, &chat).await.as_str(), closes(&fixture, &chat)), ("q2", 0));
    assert_eq!(fixture.said(&chat), ["About an order?", "May we close this chat?", OFFER_AGAIN]);

    // The question counts where it was asked first, and where its buttons were offered again.
    let question = fixture.conversations.with(chat.conversation, |row| row.entries[3].sequence);
    let clicked = fixture.append_choice(&chat, "No", "no", question);
    fixture.publish(here, &chat.posted(clicked)).await;
    fixture.settled().await;
    assert_eq!(hand_offs(&fixture, &chat), [""]);
}

async fn b6_what_people_paste_and_type_is_taken(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for (typed, recorded) in [
        ("\u{200b}ada@example.org", "ada@example.org"),
        ("\u{2068}ada@example.org\u{2069}", "ada@example.org"),
        ("ada\u{2060}@exam\u{ad}ple.org", "ada@example.org"),
        ("ada\u{ff20}example.org", "ada@example.org"),
        ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example"),
    ] {
        let chat = start_chat(&fixture).await;
        fixture.send(&chat, typed, "").await;
        assert_eq!(answers(&fixture, &chat), [("email".to_owned(), recorded.to_owned())], "{typed:?}");
        fixture.send(&chat, "\u{200e}ＢＹＥ", "").await;
        assert_eq!(closes(&fixture, &chat), 1);
    }
}

async fn b7_a_turn_that_is_rejected_for_ever_hands_the_chat_to_the_team_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    fixture.fake.on(|_: Request<PostBotMessageRequest>| -> Result<PostBotMessageResponse, Status> {
        Err(refused(Code::InvalidArgument, "INVALID_FIELDS", []))
    });
    for text in ["ada@example.org", "hello?", "is anyone there?"] {
        fixture.send(&chat, text, "").await;
    }
    assert_eq!(hand_offs(&fixture, &chat), [GAVE_UP]);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b7_a_turn_that_fails_for_minutes_hands_the_chat_to_the_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (new, old) = (start_chat(&fixture).await, start_chat(&fixture).await);
    fixture.fake.on(|_: Request<PostBotMessageRequest>| -> Result<PostBotMessageResponse, Status> {
        Err(Status::internal("a bug"))
    });
    let before = fixture.fake.calls::<PostBotMessageRequest>();
    let asked = |chat: &Chat, ago: u64| Event {
        create_time: Some(fixture.clock.now().minus(Duration::from_secs(ago)).to_proto()),
        ..event(chat.account, &chat.posted(fixture.append(chat, "ada@example.org", "")))
    };
    fixture.publish_all(&[asked(&new, 0), asked(&old, 301)]).await;
    wait_until("some retries", || async { fixture.fake.calls::<PostBotMessageRequest>() >= before + 4 }).await;
    wait_until("a hand-off", || async { hand_offs(&fixture, &old) == [GAVE_UP] }).await;
    assert!(hand_offs(&fixture, &new).is_empty());
}

async fn b7_a_flow_that_cannot_be_read_hands_the_chat_to_the_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for sql in ["UPDATE bot_flows SET flow = '{}'", "DELETE FROM bot_flows", "UPDATE bot_sessions SET step_id = 'gone'"]
    {
        let chat = start_chat(&fixture).await;
        fixture.execute(sql).await;
        fixture.send(&chat, "ada@example.org", "").await;
        assert_eq!(hand_offs(&fixture, &chat), [GAVE_UP], "{sql}");
    }
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_session_that_has_a_copy_of_its_flow_runs_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let copy = "UPDATE bot_sessions SET flow_version = NULL, flow = (SELECT flow FROM bots WHERE id = bot_id)";
    fixture.execute(copy).await;
    fixture.execute("DELETE FROM bot_flows").await;
    fixture.send(&chat, "ada@example.org", "").await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?"]);
}

async fn a3_a_bot_says_nothing_after_a_person_took_over(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    fixture.conversations.with(chat.conversation, |row| row.release());
    // The message arrives before the event of the takeover.
    fixture.send(&chat, "ada@example.org", "").await;
    let taken_over = AssigneeChanged {
        conversation_id: chat.conversation.to_string(),
        epoch: 2,
        ended_bot_session_id: chat.session.to_string(),
        ..AssigneeChanged::default()
    };
    fixture.publish(chat.account, &taken_over).await;
    fixture.settled().await;
    fixture.send(&chat, "hello?", "").await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::TakenOver);
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert!(answers(&fixture, &chat).is_empty() && fixture.dead_letters().await.is_empty());
}

async fn s2_a_message_of_another_account_and_one_that_is_not_the_visitors_are_not_answered(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat(&fixture).await;
    let sequence = fixture.append(&chat, "no", "");
    let by_agent = Actor { kind: ActorKind::Agent.into(), ..Actor::default() };
    let posted = chat.posted(sequence);
    let events = [
        event(new_account(), &posted),
        event(chat.account, &MessagePosted { author: Some(by_agent), ..posted.clone() }),
        event(chat.account, &MessagePosted { bot_session_id: String::new(), ..posted }),
    ];
    fixture.publish_all(&events).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert!(fixture.dead_letters().await.is_empty());
}
