use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use frontdesk_proto::{
    assignment::v1::{GetOpeningHoursRequest, GetOpeningHoursResponse, WeeklyRange},
    botsession::v1::{
        AnswerCondition, AskStep, BotAnswer, BranchCase, BranchStep, CloseStep, Condition, CreateTicketStep, Flow,
        HandOffStep, LanguageCondition, OpeningHoursCondition, PropertyCondition, SayStep, SetPropertyStep, Step,
        condition::Test, step::Action,
    },
    conversation::internal::v1::{
        CreateTicketByBotRequest, CreateTicketByBotResponse, GetVisitorPropertiesRequest, HandOffConversationRequest,
        HandOffConversationResponse, PostBotMessageRequest,
    },
    event::v1::{Event, OpeningHoursChanged},
};
use frontdesk_testkit::{Mode, on_both_modes, refused};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{CLOSED_HOURS, Chat, Fixture, INSERT, POLICY, TEAM, new_account, opening_hours},
    flows::{GAVE_UP, step},
};

on_both_modes!(
    b6_a_branch_follows_answers_properties_and_the_language,
    b6_a_branch_follows_opening_hours_as_they_are_when_it_is_reached,
    b6_a_turn_that_runs_again_takes_the_way_that_it_took_first,
    b6_a_flow_stores_a_property_and_creates_a_ticket_once,
    b6_a_text_with_placeholders_and_inserts_is_filled_by_the_conversation,
    b6_after_its_attempts_a_question_goes_on_with_its_fallback,
    b6_a_question_with_choices_stores_the_chosen_text,
    b6_what_the_visitor_wrote_at_the_start_answers_the_first_question,
    b6_a_first_message_that_the_contact_rejects_is_asked_for,
    b6_a_first_turn_that_runs_again_takes_no_message_that_came_while_it_ran,
    b7_a_ticket_for_an_unknown_visitor_hands_the_chat_to_the_team,
    b8_a_hand_off_names_its_routing_policy_and_team,
);

fn say(text: &str) -> Action {
    Action::Say(SayStep { text: text.into(), ..SayStep::default() })
}

pub fn close(text: &str) -> Action {
    Action::Close(CloseStep { text: text.into() })
}

pub fn ask(text: &str, property: &str) -> AskStep {
    AskStep { text: text.into(), property: property.into(), ..AskStep::default() }
}

/// A branch to the step `yes` if the test holds, and to the next in the list if it does not.
fn branch(test: Test) -> Action {
    let conditions = vec![Condition { test: Some(test), negated: false }];
    Action::Branch(BranchStep { cases: vec![BranchCase { conditions, next_step_id: "yes".into() }] })
}

/// Asks `plan?`, branches, and closes with `yes` or `no`.
fn branching(test: Test) -> Flow {
    let steps = vec![
        step("plan", Action::Ask(ask("plan?", "plan"))),
        step("branch", branch(test)),
        step("no", close("no")),
        step("yes", close("yes")),
    ];
    Flow { steps }
}

/// Asks `plan?`, then `sure?`, then branches.
fn branching_later(test: Test) -> Flow {
    let mut flow = branching(test);
    flow.steps.insert(1, step("sure", Action::Ask(ask("sure?", "sure"))));
    flow
}

/// Starts a chat with a bot that has this flow.
pub async fn start(fixture: &Fixture, flow: Flow) -> Chat {
    let here = new_account();
    let bot = fixture.create_bot(here, flow).await;
    fixture.start_chat(here, &bot, None).await
}

fn last(fixture: &Fixture, chat: &Chat) -> String {
    fixture.said(chat).pop().unwrap()
}

fn answers(fixture: &Fixture, chat: &Chat) -> Vec<(String, String)> {
    fixture.conversations.with(chat.conversation, |row| row.answers.clone())
}

async fn b6_a_branch_follows_answers_properties_and_the_language(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let values = || vec!["Gold".to_owned()];
    let answer = || Test::Answer(AnswerCondition { step_id: "plan".into(), values: values() });
    let property = |name: &str| Test::ContactProperty(PropertyCondition { property: name.into(), values: values() });
    let language = || Test::Language(LanguageCondition { languages: vec!["pt".into()] });
    for (test, text, expected) in [
        (answer(), "GOLD", "yes"),
        (answer(), "silver", "no"),
        // What the turn stores counts, before the contact is asked for.
        (property("plan"), "gold", "yes"),
        (property("tier"), "x", "yes"),
        (property("other"), "x", "no"),
        (language(), "x", "yes"),
    ] {
        for later in [false, true] {
            let flow = if later { branching_later(test.clone()) } else { branching(test.clone()) };
            let chat = start(&fixture, flow).await;
            fixture.conversations.with(chat.conversation, |row| {
                row.visitor.language = "pt-BR".into();
                row.visitor.properties.insert("tier".into(), "gold".into());
                if later {
                    row.visitor.properties.insert("plan".into(), text.into());
                }
            });
            fixture.send(&chat, text, "").await;
            if later {
                assert_eq!(last(&fixture, &chat), "sure?");
                fixture.send(&chat, "sure", "").await;
            }
            assert_eq!(last(&fixture, &chat), expected, "{test:?} {text} {later}");
        }
    }
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_branch_follows_opening_hours_as_they_are_when_it_is_reached(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let hours = Test::OpeningHours(OpeningHoursCondition { opening_hours_id: CLOSED_HOURS.to_string() });
    let here = new_account();
    let bot = fixture.create_bot(here, branching(hours)).await;
    // The copy is stored with the bot: no event has said anything of them.
    let closed = fixture.start_chat(here, &bot, None).await;
    fixture.send(&closed, "x", "").await;
    assert_eq!(last(&fixture, &closed), "no");

    let open = fixture.start_chat(here, &bot, None).await;
    fixture.fake.on(|_: Request<GetOpeningHoursRequest>| {
        let all_day = |weekday| WeeklyRange { weekday, start_minute: 0, end_minute: 1_440 };
        let week = (1..=7).map(all_day).collect();
        Ok(GetOpeningHoursResponse { opening_hours: Some(opening_hours(week, 2)) })
    });
    let changed = || {
        let event = frontdesk_testkit::event("assignment", here, &OpeningHoursChanged::default());
        Event { aggregate_id: CLOSED_HOURS.to_string(), ..event }
    };
    fixture.publish_all(&[changed(), changed()]).await;
    fixture.settled().await;
    assert_eq!(fixture.count("opening_hours").await, 1);
    fixture.send(&open, "x", "").await;
    assert_eq!(last(&fixture, &open), "yes");
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b6_a_turn_that_runs_again_takes_the_way_that_it_took_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let tier = Test::ContactProperty(PropertyCondition { property: "tier".into(), values: Vec::new() });
    let mut flow = branching(tier);
    flow.steps[2] = step("no", say("no"));
    flow.steps.insert(3, step("bye", close("bye")));
    let chat = start(&fixture, flow).await;
    // The message of the first way is posted, and its response is lost. Meanwhile the contact gets the property.
    let (conversations, lost, id) = (fixture.conversations.clone(), AtomicBool::new(false), chat.conversation);
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        let first = !lost.swap(true, Ordering::SeqCst);
        let (text, request_id) = (request.get_ref().text.clone(), request.get_ref().request_id.clone());
        let posted = conversations.with(id, |row| {
            row.visitor.properties.insert("tier".into(), "gold".into());
            row.post_once(&request_id, &text)
        });
        if first { Err(Status::unavailable("the response was lost")) } else { Ok(posted) }
    });
    fixture.send(&chat, "x", "").await;
    assert_eq!(fixture.said(&chat), ["plan?", "no", "bye"]);
    assert_eq!(fixture.fake.calls::<GetVisitorPropertiesRequest>(), 1, "the way is stored before its first action");
    assert_eq!(fixture.count("bot_sessions WHERE choices IS NOT NULL").await, 0);
}

async fn b6_a_flow_stores_a_property_and_creates_a_ticket_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let set = SetPropertyStep { property: "source".into(), value: "bot".into() };
    let steps = vec![
        step("plan", Action::Ask(ask("plan?", "plan"))),
        step("set", Action::SetProperty(set)),
        step("ticket", Action::CreateTicket(CreateTicketStep { subject: "Call back".into() })),
        step("bye", close("bye")),
    ];
    let chat = start(&fixture, Flow { steps }).await;
    let sequence = fixture.append(&chat, "gold", "");
    fixture.publish_all(&crate::fixture::twenty(chat.account, &chat.posted(sequence))).await;
    fixture.settled().await;
    let expected = [("plan".to_owned(), "gold".to_owned()), ("source".to_owned(), "bot".to_owned())];
    assert_eq!(answers(&fixture, &chat), expected);
    fixture.conversations.with(chat.conversation, |row| {
        assert_eq!((row.tickets.as_slice(), row.closes), (["Call back".to_owned()].as_slice(), 1));
    });
}

async fn b7_a_ticket_for_an_unknown_visitor_hands_the_chat_to_the_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.fake.on(|_: Request<CreateTicketByBotRequest>| {
        Err::<CreateTicketByBotResponse, _>(refused(Code::FailedPrecondition, "CONTACT_UNKNOWN", []))
    });
    let steps = vec![
        step("ticket", Action::CreateTicket(CreateTicketStep { subject: "Call back".into() })),
        step("bye", close("bye")),
    ];
    let chat = start(&fixture, Flow { steps }).await;
    let handed_off = fixture.conversations.with(chat.conversation, |row| row.hand_offs.clone());
    assert_eq!((fixture.said(&chat), handed_off), (Vec::<String>::new(), vec![GAVE_UP.to_owned()]));
}

async fn b6_a_text_with_placeholders_and_inserts_is_filled_by_the_conversation(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let posted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (seen, conversations) = (posted.clone(), fixture.conversations.clone());
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        let request = request.into_inner();
        seen.lock().unwrap().push((request.fill_placeholders, request.insert_ids.clone()));
        let id = request.conversation_id.parse().unwrap();
        Ok(conversations.with(id, |row| row.post_once(&request.request_id, &request.text)))
    });
    let insert = SayStep { text: "See".into(), insert_ids: vec![INSERT.to_string()] };
    let steps = vec![
        step("a", say("Hi {{contact.first_name|there}}")),
        step("b", Action::Say(insert)),
        step("c", say("plain")),
        step("bye", close("")),
    ];
    start(&fixture, Flow { steps }).await;
    let expected = [(true, Vec::new()), (true, vec![INSERT.to_string()]), (false, Vec::new())];
    assert_eq!(*posted.lock().unwrap(), expected);
}

async fn b6_after_its_attempts_a_question_goes_on_with_its_fallback(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mail = AskStep { max_attempts: 2, fallback_step_id: "people".into(), ..ask("mail?", "email") };
    let steps = vec![
        step("mail", Action::Ask(mail)),
        step("bye", close("bye")),
        step("people", Action::HandOff(HandOffStep { text: "wait".into(), ..HandOffStep::default() })),
    ];
    let chat = start(&fixture, Flow { steps }).await;
    fixture.send(&chat, "no", "").await;
    assert_eq!((fixture.said(&chat).len(), fixture.session(&chat).await.unwrap().step_id.as_str()), (2, "mail"));
    fixture.send(&chat, "still no", "").await;
    assert_eq!((last(&fixture, &chat).as_str(), fixture.session(&chat).await.unwrap().turn_count), ("wait", 3));
}

async fn b6_a_question_with_choices_stores_the_chosen_text(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let size = AskStep { choices: vec!["Small".into(), "Large".into()], ..ask("size?", "size") };
    let steps = vec![
        step("size", Action::Ask(size)),
        step("mail", Action::Ask(ask("mail?", "email"))),
        step("bye", close("bye")),
    ];
    let chat = start(&fixture, Flow { steps }).await;
    fixture.send(&chat, "medium", "").await;
    assert_eq!(fixture.said(&chat), ["size?", "Please choose one of these:"]);
    fixture.send(&chat, "Large", "choice-2").await;
    assert_eq!(answers(&fixture, &chat), [("size".to_owned(), "Large".to_owned())]);
    let session = fixture.session(&chat).await.unwrap();
    let answer = BotAnswer { step_id: "size".into(), sequence: 4, button_id: "choice-2".into() };
    assert_eq!((session.answers, session.turn_count), (vec![answer], 3));
}

async fn b6_what_the_visitor_wrote_at_the_start_answers_the_first_question(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let what = AskStep { accepts_first_message: true, ..ask("what?", "question") };
    let steps = vec![
        step("hi", say("hi")),
        step("what", Action::Ask(what)),
        step("mail", Action::Ask(ask("mail?", "email"))),
        step("bye", close("bye")),
    ];
    let here = new_account();
    let bot = fixture.create_bot(here, Flow { steps }).await;
    let chat = fixture.new_chat(here, &bot, None);
    let first = fixture.append(&chat, "My wheel squeaks", "");
    fixture.publish(here, &chat.started).await;
    fixture.publish(here, &chat.posted(first)).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert_eq!(answers(&fixture, &chat), [("question".to_owned(), "My wheel squeaks".to_owned())]);
    let session = fixture.session(&chat).await.unwrap();
    assert_eq!((session.answers[0].sequence, session.step_id.as_str(), session.turn_count), (first, "mail", 1));
    // Without a text the question is asked.
    let silent = fixture.start_chat(here, &bot, None).await;
    assert_eq!(fixture.said(&silent), ["hi", "what?"]);
}

async fn b6_a_first_message_that_the_contact_rejects_is_asked_for(mode: Mode) {
    use frontdesk_proto::conversation::internal::v1::{RecordAnswerRequest, RecordAnswerResponse};

    let fixture = Fixture::start(mode).await;
    fixture.fake.on(|_: Request<RecordAnswerRequest>| {
        Err::<RecordAnswerResponse, _>(refused(Code::InvalidArgument, "INVALID_FIELDS", []))
    });
    let mail = AskStep { accepts_first_message: true, ..ask("mail?", "email") };
    let steps = vec![step("hi", say("hi")), step("mail", Action::Ask(mail)), step("bye", close("bye"))];
    let here = new_account();
    let bot = fixture.create_bot(here, Flow { steps }).await;
    let chat = fixture.new_chat(here, &bot, None);
    fixture.append(&chat, "ada@example.org", "");
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert_eq!(fixture.session(&chat).await.unwrap().step_id, "mail");
}

async fn b6_a_first_turn_that_runs_again_takes_no_message_that_came_while_it_ran(mode: Mode) {
    use frontdesk_proto::{actor::v1::ActorKind, conversation::v1::Message};

    let fixture = Fixture::start(mode).await;
    let what = AskStep { accepts_first_message: true, ..ask("what?", "question") };
    let steps = vec![step("hi", say("hi")), step("what", Action::Ask(what)), step("bye", close("bye"))];
    let here = new_account();
    let bot = fixture.create_bot(here, Flow { steps }).await;
    let chat = fixture.new_chat(here, &bot, None);
    // The visitor writes after the thread was read and before the bot's first message, whose response is lost.
    let (conversations, lost, id) = (fixture.conversations.clone(), AtomicBool::new(false), chat.conversation);
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        let first = !lost.swap(true, Ordering::SeqCst);
        let (text, request_id) = (request.get_ref().text.clone(), request.get_ref().request_id.clone());
        let posted = conversations.with(id, |row| {
            if first {
                row.append(ActorKind::Visitor, Message { text: "My wheel squeaks".into(), ..Message::default() });
            }
            row.post_once(&request_id, &text)
        });
        if first { Err(Status::unavailable("the response was lost")) } else { Ok(posted) }
    });
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "what?"]);
    assert!(answers(&fixture, &chat).is_empty());
    assert_eq!(fixture.session(&chat).await.unwrap().step_id, "what");
    assert_eq!(fixture.count("bot_sessions WHERE choices IS NOT NULL").await, 0);
}

async fn b8_a_hand_off_names_its_routing_policy_and_team(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let named = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = named.clone();
    fixture.fake.on(move |request: Request<HandOffConversationRequest>| {
        let HandOffConversationRequest { routing_policy_id, team_id, .. } = request.into_inner();
        seen.lock().unwrap().push((routing_policy_id, team_id));
        Ok(HandOffConversationResponse::default())
    });
    let targets = [(POLICY.to_string(), TEAM.to_string()), (String::new(), String::new())];
    for (routing_policy_id, team_id) in targets.clone() {
        let hand_off = HandOffStep { routing_policy_id, team_id, ..HandOffStep::default() };
        start(&fixture, Flow { steps: vec![step("team", Action::HandOff(hand_off))] }).await;
    }
    assert_eq!(*named.lock().unwrap(), targets);
}

/// What a flow may name besides agents, as [`naming`] takes it.
pub const NAMED: [Uuid; 4] = [POLICY, TEAM, CLOSED_HOURS, INSERT];

/// A flow that names this routing policy and team, these opening hours and this insert.
pub fn naming(named: [Uuid; 4]) -> Flow {
    let [routing_policy_id, team_id, opening_hours_id, insert] = named.map(|id| id.to_string());
    let test = Test::OpeningHours(OpeningHoursCondition { opening_hours_id });
    let hand_off = HandOffStep { routing_policy_id, team_id, ..HandOffStep::default() };
    let steps: Vec<Step> = vec![
        step("say", Action::Say(SayStep { text: "see".into(), insert_ids: vec![insert] })),
        step("branch", branch(test)),
        step("no", close("")),
        step("yes", Action::HandOff(hand_off)),
    ];
    Flow { steps }
}
