use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_proto::{
    actor::v1::ActorKind,
    botsession::v1::{BotReminder, BotSession, BotSessionStatus, CreateBotRequest, ListBotSessionsRequest},
    conversation::{
        internal::v1::{
            CloseIdleConversationsRequest, CloseIdleConversationsResponse, IdleOutcome, IdleResult,
            PostBotMessageRequest, PostBotMessageResponse,
        },
        v1::CloseReason,
    },
    event::v1::BotSessionEnded,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, refused, wait_for, wait_until};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{Chat, Fixture, event, new_account, new_bot},
    flows::flow,
};

on_both_modes!(
    b4_a_session_times_out_at_its_deadline_and_not_before_also_when_the_visitor_never_writes,
    b4_a_silent_visitor_is_reminded_once_before_the_timeout,
    b4_a_visitor_who_wrote_meanwhile_is_not_reminded,
    b4_a_clock_that_is_moved_past_a_reminder_and_its_timeout_fires_both_in_their_order,
    b4_after_an_outage_past_a_reminder_and_its_timeout_only_the_timeout_comes,
    b5_when_the_visitor_was_active_the_row_says_when_to_ask_again,
    a3_a_session_that_was_taken_over_is_not_checked_again,
    b4_a_row_that_cannot_be_asked_is_asked_again_soon,
    b4_a_session_whose_end_was_stored_first_keeps_it,
    b4_six_hundred_sessions_due_at_once_are_settled_in_batches,
    b4_a_conversation_that_fails_is_asked_about_less_and_less_often_and_the_others_are_closed,
    b4_an_outcome_that_cannot_be_stored_holds_up_no_other,
    b4_a_session_that_another_replica_has_claimed_is_asked_about_when_the_claim_ends,
    b4_a_session_that_was_claimed_before_the_databases_clock_was_set_back_times_out,
    b4_a_session_that_was_put_off_before_the_databases_clock_was_set_back_times_out,
);

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

/// The sessions of each call to CloseIdleConversations.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<Vec<String>>>>);

impl Asked {
    /// Number of calls that named this session.
    pub fn times(&self, chat: &Chat) -> usize {
        self.calls().iter().filter(|sessions| sessions.contains(&chat.session.to_string())).count()
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

/// Answers CloseIdleConversations with this outcome for every conversation, from now on. None: the service is
/// unavailable.
pub fn serve_idle(fixture: &Fixture, asked: &Asked, outcome: Option<(IdleOutcome, Option<Time>)>) {
    let asked = asked.clone();
    fixture.fake.on(move |request: Request<CloseIdleConversationsRequest>| {
        let conversations = request.into_inner().conversations;
        asked.0.lock().unwrap().push(conversations.iter().map(|idle| idle.bot_session_id.clone()).collect());
        let (outcome, time) = outcome.ok_or_else(|| Status::unavailable("not now"))?;
        let results = conversations.into_iter().map(|idle| IdleResult {
            conversation_id: idle.conversation_id,
            outcome: outcome.into(),
            idle_time: time.map(Time::to_proto),
        });
        Ok(CloseIdleConversationsResponse { results: results.collect() })
    });
}

/// A chat of an account of its own that times out after this time.
async fn start_chat(fixture: &Fixture, timeout: Duration) -> Chat {
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    fixture.start_chat(here, &bot, Some(timeout)).await
}

pub async fn timed_out(fixture: &Fixture, chat: &Chat) -> BotSession {
    let is_timed_out = |session: &BotSession| session.status() == BotSessionStatus::TimedOut;
    wait_for("the session to time out", || async { fixture.session(chat).await.ok().filter(is_timed_out) }).await
}

async fn b4_a_session_times_out_at_its_deadline_and_not_before_also_when_the_visitor_never_writes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    let earlier = start_chat(&fixture, HALF_AN_HOUR - Duration::from_secs(40)).await;
    let without_timeout = {
        let bot = fixture.create_bot(chat.account, flow()).await;
        fixture.start_chat(chat.account, &bot, None).await
    };

    // One claim takes every session that is due, so a call about the earlier one alone says that the other was not due.
    fixture.clock.advance(HALF_AN_HOUR - Duration::from_secs(30)).unwrap();
    timed_out(&fixture, &earlier).await;
    assert_eq!((asked.times(&earlier), asked.times(&chat)), (1, 0));

    fixture.clock.advance(Duration::from_secs(30)).unwrap();
    let session = timed_out(&fixture, &chat).await;
    let (start, end) = (session.start_time.unwrap(), session.end_time.unwrap());
    assert!(end.seconds - start.seconds >= 1_800 && session.check_time.is_none());
    assert_eq!((asked.times(&chat), asked.times(&without_timeout)), (1, 0));

    fixture.settled().await;
    let ended = fixture.events::<BotSessionEnded>().await;
    assert!(ended.len() == 2 && ended.iter().all(|event| event.status() == BotSessionStatus::TimedOut));
    let event = ended.iter().find(|event| event.bot_session_id == chat.session.to_string()).unwrap();
    let deadline = Time::from_proto(&event.deadline_time.unwrap());
    assert_eq!(deadline, Time::from_proto(&start).plus(HALF_AN_HOUR));
    let lateness = Duration::try_from(event.lateness.unwrap()).unwrap();
    assert_eq!(deadline.plus(lateness), Time::from_proto(&end));
}

/// A chat with half an hour, whose bot reminds the visitor five minutes before. The row answers that the visitor was silent.
async fn start_chat_with_reminder(fixture: &Fixture) -> Chat {
    let here = new_account();
    let before_end = Some(prost_types::Duration { seconds: 300, nanos: 0 });
    let reminder = Some(BotReminder { text: "Still there?".into(), before_end });
    let create = CreateBotRequest { reminder: reminder.clone(), ..new_bot(flow(), "1") };
    let bot = fixture.bots(here).create_bot(create).await.unwrap().into_inner().bot.unwrap();
    assert_eq!(bot.reminder, reminder);
    let chat = fixture.start_chat(here, &bot, Some(HALF_AN_HOUR)).await;
    let deadline = fixture.session(&chat).await.unwrap().check_time.unwrap();
    let deadline = Some(Time::from_proto(&deadline));
    serve_idle(fixture, &Asked::default(), Some((IdleOutcome::VisitorActive, deadline)));
    chat
}

async fn b4_a_silent_visitor_is_reminded_once_before_the_timeout(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat_with_reminder(&fixture).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    fixture.clock.advance(HALF_AN_HOUR - Duration::from_secs(240)).unwrap();
    let noted = || async { fixture.count("bot_sessions WHERE reminded_of_at = deadline_at").await == 1 };
    wait_until("the reminder", noted).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "Still there?"]);

    serve_idle(&fixture, &Asked::default(), Some((IdleOutcome::Closed, None)));
    fixture.clock.advance(Duration::from_secs(241)).unwrap();
    timed_out(&fixture, &chat).await;
    assert_eq!(fixture.said(&chat).len(), 3);
}

async fn b4_a_visitor_who_wrote_meanwhile_is_not_reminded(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat_with_reminder(&fixture).await;
    let since = Arc::<Mutex<Vec<Time>>>::default();
    let asked = since.clone();
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        asked.lock().unwrap().extend(request.get_ref().silent_since_time.as_ref().map(Time::from_proto));
        Err::<PostBotMessageResponse, _>(refused(Code::Aborted, "VISITOR_ACTIVE", []))
    });
    let start = Time::from_proto(&fixture.session(&chat).await.unwrap().start_time.unwrap());
    fixture.clock.advance(HALF_AN_HOUR - Duration::from_secs(240)).unwrap();
    let noted = || async { fixture.count("bot_sessions WHERE reminded_of_at = deadline_at").await == 1 };
    wait_until("the refusal", noted).await;
    assert_eq!(*since.lock().unwrap(), [start]);
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
}

/// A check of a row: as of when, and the number of reminders that the bot had sent.
type Check = (Option<Time>, usize);

/// Answers CloseIdleConversations as a row does whose visitor has been silent for the timeout at this time. Returns the checks.
fn serve_row(fixture: &Fixture, chat: &Chat, idle_at: Time) -> Arc<Mutex<Vec<Check>>> {
    let checks = Arc::<Mutex<Vec<Check>>>::default();
    let (conversations, clock, chat) = (fixture.conversations.clone(), fixture.clock.clone(), chat.clone());
    let seen = checks.clone();
    fixture.fake.on(move |request: Request<CloseIdleConversationsRequest>| {
        let results = request.into_inner().conversations.into_iter().map(|idle| {
            let as_of = idle.as_of_time.as_ref().map(Time::from_proto);
            let texts = conversations.with(chat.conversation, |row| row.texts_of(ActorKind::Bot));
            let reminders = texts.iter().filter(|text| *text == "Still there?").count();
            seen.lock().unwrap().push((as_of, reminders));
            let now = clock.now();
            let is_idle = as_of.map_or(now, |as_of| as_of.min(now)) >= idle_at;
            let outcome = if is_idle { IdleOutcome::Closed } else { IdleOutcome::VisitorActive };
            IdleResult {
                conversation_id: idle.conversation_id,
                outcome: outcome.into(),
                idle_time: Some(idle_at.to_proto()),
            }
        });
        Ok(CloseIdleConversationsResponse { results: results.collect() })
    });
    checks
}

async fn b4_a_clock_that_is_moved_past_a_reminder_and_its_timeout_fires_both_in_their_order(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat_with_reminder(&fixture).await;
    let before_end = Duration::from_secs(300);
    // The visitor wrote two minutes after the start, which the session does not know.
    let known = Time::from_proto(&fixture.session(&chat).await.unwrap().check_time.unwrap());
    let idle_at = known.plus(Duration::from_secs(120));
    let checks = serve_row(&fixture, &chat, idle_at);
    fixture.clock.advance(2 * HALF_AN_HOUR).unwrap();
    timed_out(&fixture, &chat).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "Still there?"]);
    let expected = [(known.minus(before_end), 0), (idle_at.minus(before_end), 0), (idle_at, 1)];
    assert_eq!(*checks.lock().unwrap(), expected.map(|(as_of, reminders)| (Some(as_of), reminders)));
}

async fn b4_after_an_outage_past_a_reminder_and_its_timeout_only_the_timeout_comes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = start_chat_with_reminder(&fixture).await;
    // As after an outage: both times passed without a move of the clock.
    let deadline = fixture.clock.now().minus(Duration::from_secs(60));
    let checks = serve_row(&fixture, &chat, deadline);
    let remind_at = deadline.minus(Duration::from_secs(300));
    let passed = format!("UPDATE bot_sessions SET ask_at = {}, deadline_at = {}", remind_at.0, deadline.0);
    fixture.execute(&passed).await;
    timed_out(&fixture, &chat).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert_eq!(*checks.lock().unwrap(), [(None, 0)]);
}

async fn b5_when_the_visitor_was_active_the_row_says_when_to_ask_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    let deadline = fixture.clock.now().plus(2 * HALF_AN_HOUR);
    serve_idle(&fixture, &asked, Some((IdleOutcome::VisitorActive, Some(deadline))));
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    wait_until("the new deadline", || async {
        fixture.session(&chat).await.unwrap().check_time == Some(deadline.to_proto())
    })
    .await;
    assert_eq!(asked.times(&chat), 1);

    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    timed_out(&fixture, &chat).await;
    assert_eq!(asked.times(&chat), 2);
}

async fn a3_a_session_that_was_taken_over_is_not_checked_again(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::NotInCharge, None)));
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    wait_until("the check to be cleared", || async { fixture.session(&chat).await.unwrap().check_time.is_none() })
        .await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Open);

    // A claim that finds a later session finds every session with a next check.
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let later = start_chat(&fixture, HALF_AN_HOUR).await;
    fixture.clock.advance(2 * HALF_AN_HOUR).unwrap();
    timed_out(&fixture, &later).await;
    assert_eq!((asked.times(&chat), asked.times(&later)), (1, 1));
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Open);
}

async fn b4_a_row_that_cannot_be_asked_is_asked_again_soon(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, None);
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    wait_until("two calls", || async { asked.times(&chat) >= 2 }).await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Open);
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    timed_out(&fixture, &chat).await;
}

async fn b4_a_session_whose_end_was_stored_first_keeps_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, None);
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    let other = start_chat(&fixture, HALF_AN_HOUR).await;
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    wait_until("a call about both", || async { asked.times(&chat) >= 1 && asked.times(&other) >= 1 }).await;
    fixture.publish(chat.account, &chat.closed(CloseReason::Agent)).await;
    fixture.settled().await;
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    timed_out(&fixture, &other).await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Closed);
}

async fn b4_six_hundred_sessions_due_at_once_are_settled_in_batches(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chats: Vec<Chat> = (0..600).map(|_| fixture.new_chat(here, &bot, Some(HALF_AN_HOUR))).collect();
    let started: Vec<_> = chats.iter().map(|chat| event(here, &chat.started)).collect();
    fixture.publish_all(&started).await;
    fixture.settled().await;
    assert!(asked.calls().is_empty());

    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    let statuses = vec![BotSessionStatus::Open.into()];
    let open = ListBotSessionsRequest { statuses, ..ListBotSessionsRequest::default() };
    wait_until("every session to end", || async {
        let page = fixture.sessions(here).list_bot_sessions(open.clone()).await.unwrap().into_inner();
        page.bot_sessions.is_empty()
    })
    .await;
    let calls = asked.calls();
    assert!((2..=4).contains(&calls.len()), "{} calls", calls.len());
    assert!(calls.iter().all(|sessions| sessions.len() <= 500));
    let sessions: HashSet<String> = calls.concat().into_iter().collect();
    assert_eq!((sessions.len(), calls.concat().len()), (600, 600));
    fixture.settled().await;
    assert_eq!(fixture.events::<BotSessionEnded>().await.len(), 600);
    assert_eq!(fixture.count("session_claims").await, 0, "a claim ends with its outcomes");
}

async fn b4_a_conversation_that_fails_is_asked_about_less_and_less_often_and_the_others_are_closed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    let (failing, good) = (start_chat(&fixture, HALF_AN_HOUR).await, start_chat(&fixture, HALF_AN_HOUR).await);
    let (calls, poison) = (asked.clone(), failing.conversation.to_string());
    fixture.fake.on(move |request: Request<CloseIdleConversationsRequest>| {
        let request = request.into_inner();
        assert!(request.handles_failed);
        calls.0.lock().unwrap().push(request.conversations.iter().map(|idle| idle.bot_session_id.clone()).collect());
        let results = request.conversations.into_iter().map(|idle| IdleResult {
            // 99: an outcome of a later version.
            outcome: match (idle.conversation_id == poison, calls.0.lock().unwrap().len() % 2) {
                (false, _) => IdleOutcome::Closed.into(),
                (true, 0) => 99,
                (true, _) => IdleOutcome::Failed.into(),
            },
            conversation_id: idle.conversation_id,
            idle_time: None,
        });
        Ok(CloseIdleConversationsResponse { results: results.collect() })
    });
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    timed_out(&fixture, &good).await;
    wait_until("three calls", || async { asked.times(&failing) >= 3 }).await;
    assert_eq!(asked.times(&good), 1);
    let failed = "bot_sessions WHERE status = 'OPEN' AND failed_checks >= 2 AND deadline_at IS NOT NULL";
    assert_eq!(fixture.count(failed).await, 1);

    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    timed_out(&fixture, &failing).await;
}

async fn b4_an_outcome_that_cannot_be_stored_holds_up_no_other(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let chats = [start_chat(&fixture, HALF_AN_HOUR).await, start_chat(&fixture, HALF_AN_HOUR).await];
    // The event of the first session's end is there already, as after a restore of an older database.
    let conflict = "INSERT INTO outbox_events \
            (event_id, account_id, aggregate_id, version, event, created_at, published_at) \
        SELECT session.id, session.account_id, session.id, session.version + 1, other.event, other.created_at, other.created_at \
        FROM (SELECT * FROM bot_sessions ORDER BY started_at LIMIT 1) AS session, \
            (SELECT event, created_at FROM outbox_events ORDER BY position LIMIT 1) AS other";
    fixture.execute(conflict).await;
    fixture.clock.advance(HALF_AN_HOUR).unwrap();
    timed_out(&fixture, &chats[1]).await;
    let failed = "bot_sessions WHERE status = 'OPEN' AND failed_checks > 0 AND ask_at IS NOT NULL";
    wait_until("the first one to be put off", || async { fixture.count(failed).await == 1 }).await;
    assert_eq!(fixture.session(&chats[0]).await.unwrap().status(), BotSessionStatus::Open);
}

/// The id in a statement.
fn literal(mode: Mode, id: Uuid) -> String {
    let id = id.simple();
    if matches!(mode, Mode::Embedded) { format!("X'{id}'") } else { format!("'{id}'") }
}

/// The statement that stores that another replica has claimed the chat's session.
fn claim(mode: Mode, chat: &Chat, ends_at: Time) -> String {
    let (id, session) = (literal(mode, new_id()), chat.session);
    format!(r#"INSERT INTO session_claims (id, session_ids, ends_at) VALUES ({id}, '["{session}"]', {})"#, ends_at.0)
}

/// The replica that claimed the session has died.
async fn b4_a_session_that_another_replica_has_claimed_is_asked_about_when_the_claim_ends(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    let (chat, other) = (start_chat(&fixture, HALF_AN_HOUR).await, start_chat(&fixture, HALF_AN_HOUR).await);
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    // Both are due, and one of them is claimed.
    let (now, rest) = (fixture.clock.now(), Duration::from_millis(5_500));
    let due = format!("UPDATE bot_sessions SET ask_at = {0}, deadline_at = {0}", now.0);
    fixture.execute(&format!("{}; {due}", claim(mode, &chat, now.plus(rest)))).await;
    timed_out(&fixture, &other).await;
    assert_eq!((asked.times(&chat), asked.times(&other)), (0, 1));
    fixture.clock.advance(rest).unwrap();
    timed_out(&fixture, &chat).await;
    assert_eq!(asked.times(&chat), 1);
    fixture.clock.advance(Duration::from_secs(10)).unwrap();
    wait_until("the end of the claim to be noticed", || async { fixture.count("session_claims").await == 0 }).await;
}

/// The replica that claimed the session has died, and the database's clock went back ten minutes with its fail-over.
async fn b4_a_session_that_was_claimed_before_the_databases_clock_was_set_back_times_out(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let (now, rest) = (fixture.clock.now(), Duration::from_secs(600));
    let due = format!("UPDATE bot_sessions SET ask_at = {0}, deadline_at = {0}", now.0);
    fixture.execute(&format!("{}; {due}", claim(mode, &chat, now.plus(rest)))).await;
    timed_out(&fixture, &chat).await;
    assert_eq!(asked.times(&chat), 1);
    wait_until("the void claim to be deleted", || async { fixture.count("session_claims").await == 0 }).await;
}

/// As a failed check or a claim of an older binary puts it off.
async fn b4_a_session_that_was_put_off_before_the_databases_clock_was_set_back_times_out(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    let chat = start_chat(&fixture, HALF_AN_HOUR).await;
    let later = start_chat(&fixture, HALF_AN_HOUR).await;
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let put_off_to = fixture.clock.now().plus(Duration::from_secs(600)).0;
    let (deadline, id) = (put_off_to - 3_000_000, literal(mode, chat.session));
    let put_off = format!("UPDATE bot_sessions SET ask_at = {put_off_to}, deadline_at = {deadline} WHERE id = {id}");
    fixture.execute(&put_off).await;
    timed_out(&fixture, &chat).await;
    assert_eq!((asked.times(&chat), asked.times(&later)), (1, 0));
}
