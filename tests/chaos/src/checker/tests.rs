//! Tests of the checker: a clean fixture passes, and every planted fault is found by its rule.

use serde_json::{Value, json};

use super::fixture::{
    ACCOUNT, Fixture, OTHER_ACCOUNT, ROUTED, SECOND, SILENT, TAKEN, WAITING, clean, mail, owner_row, queued,
};
use crate::{
    final_state::{
        Attachment, Change, Changed, ConsumerProgress, Conversation, Delivery, Entry, Event, Fact, Handled, QueueState,
        Receipt, Session, StreamMessage,
    },
    history::{FaultRecord, Kind, Record},
};

/// A planted fault: its description, the rule that must find it, and the change that plants it.
type Planted = (&'static str, &'static str, fn(&mut Fixture));

#[test]
fn a_clean_fixture_passes_and_evaluates_every_rule() {
    let verdict = clean().check();
    assert_eq!(verdict.total(), 0, "{verdict:?}");
    let rules: Vec<&str> = verdict.0.keys().copied().collect();
    let all = [
        "I1", "I10", "I11", "I12", "I13", "I14", "I15", "I16", "I17", "I18", "I19", "I2", "I20", "I21", "I22", "I24",
        "I25", "I3", "I4", "I5", "I6", "I7", "I8", "I9",
    ];
    assert_eq!(rules, all);
}

#[test]
fn a_rule_without_evidence_is_not_evaluated() {
    let mut fixture = clean();
    fixture.history.retain(|record| record.kind != Kind::Received);
    fixture.max_lateness = None;
    let verdict = fixture.check();
    assert!(!verdict.0.contains_key("I3") && !verdict.0.contains_key("I8"), "{verdict:?}");
}

#[test]
fn r20_every_planted_fault_is_found_by_its_rule() {
    let mut unseen = Vec::new();
    for (what, rule, plant) in PLANTED {
        let mut fixture = clean();
        plant(&mut fixture);
        if fixture.check().of(&[rule]) == 0 {
            unseen.push(format!("{rule}: {what}"));
        }
    }
    assert!(unseen.is_empty(), "not found:\n{}", unseen.join("\n"));
    for rule in clean().check().0.keys() {
        let count = PLANTED.iter().filter(|planted| planted.1 == *rule).count();
        assert!(count >= 2, "{rule} has only {count} planted faults");
    }
}

#[test]
fn i10_a_mail_whose_first_reply_was_lost_may_be_sent_twice_and_no_more() {
    let mut fixture = clean();
    delivery(&mut fixture, "d1").unknown = 1;
    fixture.state.mails[0].answered = false;
    fixture.state.mails.push(mail("d1"));
    assert_eq!(fixture.check().total(), 0);
    fixture.state.mails.push(mail("d1"));
    assert_eq!(fixture.check().of(&["I10"]), 1);
}

#[test]
fn i10_a_mail_may_be_sent_twice_if_the_service_was_killed_or_the_clock_advanced_in_between() {
    let mut fixture = clean();
    delivery(&mut fixture, "d1").unknown = 1;
    let mut again = mail("d1");
    again.at += 3_000_000_000;
    fixture.state.mails.push(again);
    assert_eq!(fixture.check().of(&["I10"]), 1, "no fault explains the second mail");
    let (fault, target) = ("kill".into(), "notification-2".into());
    fixture.faults.push(FaultRecord { fault, target, from: 6_000, to: 9_000 });
    assert_eq!(fixture.check().total(), 0);
    fixture.faults.clear();
    fixture.line((900, "AdvanceTime", "admin:a", ""), Kind::Invoke, Value::Null, Value::Null);
    assert_eq!(fixture.check().of(&["I10"]), 0, "the clock was advanced");
}

#[test]
fn i15_i16_an_agent_who_is_away_or_full_keeps_nothing_waiting() {
    let raised = || Changed::Agent { agent: "eve".into(), active: true, capacity: Some(2) };
    let heard_at = clean().state.now;
    let status = |available| Changed::Status { agent: "eve".into(), available, heard_at };
    for changes in [vec![raised(), status(false)], vec![status(false), raised()]] {
        let mut fixture = clean();
        changes.into_iter().for_each(|change| log(&mut fixture, change));
        assert_eq!(fixture.check().total(), 0);
    }
    // Without heartbeats they are away.
    let mut fixture = clean();
    log(&mut fixture, Changed::Status { agent: "eve".into(), available: true, heard_at: 0 });
    log(&mut fixture, raised());
    assert_eq!(fixture.check().total(), 0);
    // A place that is given back is free again, and a repeated reservation is no second one.
    let mut fixture = clean();
    let place = reservation(&fixture);
    let again = fixture.state.routing.changes[place].clone();
    fixture.state.routing.changes.insert(place, again);
    log(&mut fixture, Changed::Owned(owner_row(ROUTED, "eve", 2, false)));
    reserves(&mut fixture, WAITING);
    let verdict = fixture.check();
    assert_eq!((verdict.of(&["I15"]), verdict.of(&["I16"])), (0, 0), "{verdict:?}");
}

#[test]
fn i17_a_reader_that_began_later_gets_what_was_recorded_since_and_any_reader_may_get_events_again() {
    let mut fixture = clean();
    let began = event(&mut fixture, TAKEN, 3).at;
    let before: Vec<String> =
        fixture.state.events.iter().filter(|event| event.at < began).map(|one| one.id.clone()).collect();
    let reader = &mut fixture.state.readers[2];
    (reader.since, reader.repeats) = (began, 7);
    reader.received.retain(|receipt| !before.contains(&receipt.event));
    assert_eq!(fixture.check().total(), 0);
    // The first events of an aggregate that is older than the reader may overtake each other.
    receipt(&mut fixture, 2, TAKEN, 3).place = 1_000;
    assert_eq!(fixture.check().total(), 0);
    fixture.state.readers[2].received.retain(|receipt| receipt.event != format!("{TAKEN}-3"));
    assert_eq!(fixture.check().of(&["I17"]), 1, "it was recorded when the reader began");
}

fn entry(fixture: &mut Fixture, text: &str) -> usize {
    fixture.state.entries.iter().position(|entry| entry.text == text).unwrap()
}

fn conversation<'a>(fixture: &'a mut Fixture, id: &str) -> &'a mut Conversation {
    fixture.state.conversations.iter_mut().find(|one| one.id == id).unwrap()
}

fn event<'a>(fixture: &'a mut Fixture, aggregate: &str, version: i64) -> &'a mut Event {
    fixture.state.events.iter_mut().find(|event| event.aggregate == aggregate && event.version == version).unwrap()
}

/// What a reader noted of an event.
fn receipt<'a>(fixture: &'a mut Fixture, reader: usize, aggregate: &str, version: i64) -> &'a mut Receipt {
    let id = format!("{aggregate}-{version}");
    fixture.state.readers[reader].received.iter_mut().find(|receipt| receipt.event == id).unwrap()
}

fn delivery<'a>(fixture: &'a mut Fixture, id: &str) -> &'a mut Delivery {
    fixture.state.deliveries.iter_mut().find(|one| one.id == id).unwrap()
}

fn attachment<'a>(fixture: &'a mut Fixture, id: &str) -> &'a mut Attachment {
    fixture.state.attachments.iter_mut().find(|one| one.id == id).unwrap()
}

fn record(fixture: &mut Fixture, op: u64, kind: Kind) -> &mut Record {
    fixture.history.iter_mut().find(|record| record.op == op && record.kind == kind).unwrap()
}

fn seen(fixture: &mut Fixture, op: u64, sequence: i64) -> &mut Record {
    fixture.history.iter_mut().find(|record| record.op == op && record.response["s"] == sequence).unwrap()
}

fn fact<'a>(fixture: &'a mut Fixture, aggregate: &str, kind: &str) -> &'a mut Fact {
    let found = fixture.state.events.iter_mut().find(|event| event.aggregate == aggregate && event.kind == kind);
    &mut found.unwrap().fact
}

/// Changes the time at which the timeout closed the silent chat.
fn close_at(fixture: &mut Fixture, moment: i64) {
    if let Fact::Closed { at, .. } = fact(fixture, SILENT, "ConversationClosed") {
        *at = moment;
    }
}

/// Place of the reservation in the log of routing.
fn reservation(fixture: &Fixture) -> usize {
    let is_reservation =
        |change: &Change| matches!(&change.what, Changed::Queued(row) if row.state == QueueState::Reserved);
    fixture.state.routing.changes.iter().position(is_reservation).unwrap()
}

fn insert_before_reservation(fixture: &mut Fixture, what: Changed) {
    let place = reservation(fixture);
    let at = fixture.state.routing.changes[place].at;
    fixture.state.routing.changes.insert(place, Change { at, what });
}

/// Adds a change at the end of the log of routing.
fn log(fixture: &mut Fixture, what: Changed) {
    let at = fixture.state.routing.changes.last().unwrap().at;
    fixture.state.routing.changes.push(Change { at, what });
}

/// Adds the reservation of a place at the agent.
fn reserves(fixture: &mut Fixture, conversation: &str) {
    log(fixture, Changed::Queued(queued(conversation, 1, QueueState::Reserved, "eve")));
}

const PLANTED: &[Planted] = &[
    ("an acknowledged call is not counted", "I24", |fixture| {
        fixture.miscounted.push(("frontdesk.conversation.v1.VisitorService/SendMessage", "OK", -1));
    }),
    ("a call is counted twice", "I24", |fixture| {
        fixture.miscounted.push(("frontdesk.conversation.v1.VisitorService/StartChat", "OK", 1));
    }),
    ("a call is counted with another code than its answer's", "I24", |fixture| {
        fixture.miscounted.push(("frontdesk.conversation.v1.ThreadService/PostMessage", "OK", -1));
        fixture.miscounted.push(("frontdesk.conversation.v1.ThreadService/PostMessage", "UNAVAILABLE", 1));
    }),
    ("an acknowledged message is lost", "I1", |fixture| {
        let place = entry(fixture, "m~2 zqone");
        fixture.state.entries.remove(place);
    }),
    ("a stored message was never sent", "I1", |fixture| {
        let place = entry(fixture, "m~2 zqone");
        fixture.state.entries[place].text = "m~99".into();
    }),
    ("a refused message is stored", "I1", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries[place].text = "m~4 zqone".into();
    }),
    ("a message has another author", "I1", |fixture| {
        let place = entry(fixture, "m~2 zqone");
        fixture.state.entries[place].author_kind = "VISITOR".into();
    }),
    ("a bot sends a text of no bot", "I1", |fixture| {
        let place = entry(fixture, "Hello!");
        fixture.state.entries[place].text = "Hi!".into();
    }),
    ("a gap in a thread", "I2", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries.remove(place);
    }),
    ("two entries with one number", "I2", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries[place].sequence = 4;
    }),
    ("a gap in the visitor sequence", "I2", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries[place].visitor_sequence = 9;
    }),
    ("a later message has a lower sequence than an acknowledged one", "I2", |fixture| {
        let (one, other) = (entry(fixture, "m~1 zqone"), entry(fixture, "m~2 zqone"));
        fixture.state.entries[one].sequence = 4;
        fixture.state.entries[other].sequence = 1;
    }),
    ("a watcher misses an entry", "I3", |fixture| {
        fixture.history.retain(|record| record.op != 20 || record.response["s"] != 5);
    }),
    ("a watcher receives an entry twice", "I3", |fixture| {
        let again = seen(fixture, 20, 5).clone();
        let place = fixture.history.iter().position(|record| record.op == 20 && record.response["s"] == 6).unwrap();
        fixture.history.insert(place, again);
    }),
    ("a watcher receives two entries in the wrong order", "I3", |fixture| {
        seen(fixture, 20, 5).response["s"] = json!(60);
        seen(fixture, 20, 6).response["s"] = json!(5);
        seen(fixture, 20, 60).response["s"] = json!(6);
    }),
    ("a watcher receives another text", "I3", |fixture| {
        seen(fixture, 21, 1).response["d"] = json!("message:other");
    }),
    ("a watcher does not receive the last entry", "I3", |fixture| {
        fixture.history.retain(|record| record.op != 21 || record.response["s"] != 2);
    }),
    ("a repeat takes effect twice", "I4", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        let again = Entry { sequence: 13, visitor_sequence: 9, ..fixture.state.entries[place].clone() };
        fixture.state.entries.push(again);
    }),
    ("a repeat gets another response", "I4", |fixture| {
        let again = Record { response: json!({"visitor_sequence": 6}), ..record(fixture, 5, Kind::Ok).clone() };
        fixture.history.push(again);
    }),
    ("another content is accepted under the same id", "I4", |fixture| {
        for (kind, arguments) in [(Kind::Invoke, json!({"text": "m~other"})), (Kind::Ok, Value::Null)] {
            let of = (30, "SendMessage", "visitor:v", TAKEN);
            fixture.line(of, kind, arguments, json!({"visitor_sequence": 5}));
            fixture.history.last_mut().unwrap().request_id = "r5".into();
        }
    }),
    ("a reused id is refused for another reason", "I4", |fixture| {
        fixture.line((31, "SendMessage", "visitor:v", TAKEN), Kind::Fail, json!({"reused": true}), Value::Null);
        fixture.history.last_mut().unwrap().reason = "NOT_FOUND".into();
    }),
    ("two open sessions", "I5", |fixture| {
        for id in ["s1", "s3"] {
            let (id, conversation, status) = (id.into(), TAKEN.into(), "OPEN".into());
            fixture.state.sessions.push(Session { id, conversation, status, ..Session::default() });
        }
    }),
    ("a session without a start event", "I5", |fixture| {
        let (id, conversation, status) = ("s3".into(), SILENT.into(), "CLOSED".into());
        fixture.state.sessions.push(Session { id, conversation, status, ..Session::default() });
    }),
    ("the row has a session in charge that ended", "I5", |fixture| {
        conversation(fixture, TAKEN).session_in_charge = "s1".into();
    }),
    ("a timeout closes after the takeover", "I6", |fixture| {
        if let Fact::Closed { reason, session, .. } = fact(fixture, TAKEN, "ConversationClosed") {
            (*reason, *session) = ("VISITOR_INACTIVE".into(), "s1".into());
        }
    }),
    ("a timeout names no session", "I6", |fixture| {
        if let Fact::Closed { session, .. } = fact(fixture, SILENT, "ConversationClosed") {
            session.clear();
        }
    }),
    ("a timeout of another session", "I6", |fixture| {
        if let Fact::Closed { session, .. } = fact(fixture, SILENT, "ConversationClosed") {
            *session = "s1".into();
        }
    }),
    ("a timeout a microsecond early", "I7", |fixture| close_at(fixture, 90 * SECOND - 1)),
    ("a timeout that ignores the visitor's last message", "I7", |fixture| close_at(fixture, 80 * SECOND + 1)),
    ("a timeout one microsecond late", "I8", |fixture| close_at(fixture, 91 * SECOND + 1)),
    ("a timeout a minute late", "I8", |fixture| close_at(fixture, 150 * SECOND)),
    ("a session past its deadline", "I9", |fixture| {
        let session = &mut fixture.state.sessions[1];
        (session.status, session.deadline) = ("OPEN".into(), 90 * SECOND);
    }),
    ("a row whose timeout passed", "I9", |fixture| {
        conversation(fixture, SILENT).session_in_charge = "s2".into();
    }),
    ("no mail for an eligible close", "I10", |fixture| {
        fixture.state.mails.remove(0);
    }),
    ("a second mail without a reason", "I10", |fixture| fixture.state.mails.push(mail("d1"))),
    ("a second mail with other bytes", "I10", |fixture| {
        delivery(fixture, "d1").unknown = 1;
        fixture.state.mails[0].answered = false;
        fixture.state.mails.push(mail("d1"));
        fixture.state.mails[3].hash = "other".into();
    }),
    ("a delivery that failed though no server refused", "I10", |fixture| {
        delivery(fixture, "d1").state = "FAILED".into();
        fixture.state.mails.remove(0);
    }),
    ("a delivery that is still queued", "I10", |fixture| delivery(fixture, "d1").state = "QUEUED".into()),
    ("a manual mail twice", "I11", |fixture| fixture.state.mails.push(mail("d-hand"))),
    ("a manual mail without a request", "I11", |fixture| fixture.history.retain(|record| record.op != 8)),
    ("an acknowledged manual mail without a delivery", "I11", |fixture| {
        fixture.state.deliveries.retain(|delivery| delivery.id != "d-hand");
    }),
    ("a close without a decision", "I12", |fixture| {
        fixture.state.decisions.remove(0);
    }),
    ("two decisions for a close", "I12", |fixture| {
        let again = fixture.state.decisions[0].clone();
        fixture.state.decisions.push(again);
    }),
    ("a decision against the facts", "I12", |fixture| {
        let decision = &mut fixture.state.decisions[2];
        (decision.skip, decision.delivery) = (String::new(), "d1".into());
    }),
    ("a mail without a delivery", "I12", |fixture| fixture.state.mails.push(mail("d9"))),
    ("a transcript lacks a message", "I13", |fixture| {
        fixture.state.mails[0].text = "m~1 zqone\n m~2 zqone".into();
    }),
    ("a transcript has the messages in another order", "I13", |fixture| {
        fixture.state.mails[0].text = "m~2 zqone\n m~1 zqone\n m~3 zqone".into();
    }),
    ("a transcript contains a comment", "I13", |fixture| fixture.state.mails[0].whole.push_str(" zq-internal-zq 1")),
    ("an epoch is skipped", "I14", |fixture| {
        if let Fact::Reopened { epoch, .. } = fact(fixture, TAKEN, "ConversationReopened") {
            *epoch = 4;
        }
    }),
    ("a change starts from another owner", "I14", |fixture| {
        if let Fact::Assignee { from, .. } = fact(fixture, TAKEN, "AssigneeChanged") {
            *from = "AGENT:bob".into();
        }
    }),
    ("two win one takeover", "I14", |fixture| {
        for kind in [Kind::Invoke, Kind::Ok] {
            let of = (40, "TakeOverConversation", "agent:bob", TAKEN);
            fixture.line(of, kind, json!({"expected_epoch": 1}), json!({"epoch": 2, "owner": "AGENT:bob"}));
        }
    }),
    ("the row has another owner", "I14", |fixture| conversation(fixture, TAKEN).assignee = "AGENT:bob".into()),
    ("routing gives an agent more than they can take", "I15", |fixture| reserves(fixture, WAITING)),
    ("routing gives a conversation to an agent whose capacity was lowered before", "I15", |fixture| {
        let lowered = Changed::Agent { agent: "eve".into(), active: true, capacity: Some(0) };
        insert_before_reservation(fixture, lowered);
    }),
    ("routing gives a conversation to an agent who took one by hand before", "I15", |fixture| {
        insert_before_reservation(fixture, Changed::Owned(owner_row(TAKEN, "eve", 4, true)));
    }),
    ("routing gives a conversation without a reserved place", "I15", |fixture| {
        let place = reservation(fixture);
        fixture.state.routing.changes.remove(place);
    }),
    ("a place stays reserved", "I15", |fixture| {
        fixture.state.routing.queue[0] = queued(WAITING, 1, QueueState::Reserved, "eve");
    }),
    ("a conversation that waits is in no queue", "I16", |fixture| fixture.state.routing.queue.clear()),
    ("a conversation waits at an epoch that is over", "I16", |fixture| fixture.state.routing.queue[0].epoch = 0),
    ("a conversation is in the queue that has an agent", "I16", |fixture| {
        fixture.state.routing.queue.push(queued(ROUTED, 1, QueueState::Waiting, ""));
    }),
    ("a conversation overtakes an older one", "I16", |fixture| {
        for change in &mut fixture.state.routing.changes {
            if let Changed::Queued(row) = &mut change.what
                && row.conversation == WAITING
            {
                row.since = 0;
            }
        }
    }),
    ("a conversation waits while an agent has a free place", "I16", |fixture| {
        let raised = Changed::Agent { agent: "eve".into(), active: true, capacity: Some(2) };
        log(fixture, raised);
    }),
    ("a conversation waits six seconds until an agent who is free gets it", "I16", |fixture| {
        let place = reservation(fixture);
        for change in &mut fixture.state.routing.changes[place..] {
            change.at += 6 * SECOND;
        }
    }),
    ("an event is missing", "I17", |fixture| {
        fixture.state.events.retain(|event| event.aggregate != TAKEN || event.version != 3);
    }),
    ("an event without its entry", "I17", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries[place].kind = "comment".into();
    }),
    ("a sent transcript is recorded twice in the thread", "I17", |fixture| {
        let place = fixture.state.entries.iter().position(|entry| entry.kind == "transcript_sent").unwrap();
        let again = Entry { sequence: 13, ..fixture.state.entries[place].clone() };
        fixture.state.entries.push(again);
        conversation(fixture, TAKEN).last_sequence = 13;
    }),
    ("an event was never published", "I17", |fixture| event(fixture, TAKEN, 2).published = false),
    ("an event is in no stream", "I17", |fixture| {
        fixture.state.stream.remove(2);
    }),
    ("two events are in the stream in the wrong order", "I17", |fixture| fixture.state.stream.swap(1, 2)),
    ("a consumer did not process all messages", "I17", |fixture| {
        fixture.state.consumers.push(ConsumerProgress { name: "x".into(), pending: 0, unacknowledged: 1 });
    }),
    ("a consumer skipped an event", "I17", |fixture| {
        fixture.state.handled.remove(0);
    }),
    ("a consumer has a dead letter", "I17", |fixture| {
        let (consumer, event) = ("notification.decide".into(), format!("{TAKEN}-1"));
        fixture.state.dead_letters.push(Handled { consumer, event });
    }),
    ("a consumer of the broker misses an event", "I17", |fixture| {
        fixture.state.readers[0].received.remove(2);
    }),
    ("a subscriber misses the last event", "I17", |fixture| {
        fixture.state.readers[1].received.pop();
    }),
    ("a receiver of webhooks gets a later event of an aggregate first", "I17", |fixture| {
        let before = receipt(fixture, 2, TAKEN, 2).place;
        let later = std::mem::replace(&mut receipt(fixture, 2, TAKEN, 3).place, before);
        receipt(fixture, 2, TAKEN, 2).place = later;
    }),
    ("a stream of the broker has a later event of an aggregate first", "I17", |fixture| {
        receipt(fixture, 0, TAKEN, 1).place = 1_000;
    }),
    ("a request to a receiver of webhooks is not signed", "I17", |fixture| {
        fixture.state.readers[2].failures.push("a request has no valid signature".into());
    }),
    ("bot-session has another status of a session", "I18", |fixture| {
        fixture.state.sessions[0].status = "CLOSED".into()
    }),
    ("bot-session lacks a session", "I18", |fixture| {
        fixture.state.sessions.remove(0);
    }),
    ("bot-session lacks the turn that closed a chat", "I18", |fixture| {
        if let Fact::Closed { reason, .. } = fact(fixture, SILENT, "ConversationClosed") {
            *reason = "BOT_COMPLETED".into();
        }
        let session = &mut fixture.state.sessions[1];
        (session.status, session.step) = ("COMPLETED".into(), "topic".into());
    }),
    ("assignment has another owner", "I18", |fixture| fixture.state.assignments[1].owner = "AGENT:bob".into()),
    ("assignment lacks a change", "I18", |fixture| {
        fixture.state.assignments.remove(2);
    }),
    ("assignment counts a closed conversation as open", "I18", |fixture| {
        fixture.state.routing.owners.iter_mut().for_each(|row| row.open = true);
    }),
    ("assignment counts a conversation for another agent", "I18", |fixture| {
        fixture.state.routing.owners.iter_mut().for_each(|row| row.agent = "bob".into());
    }),
    ("the row counts its closes wrongly", "I18", |fixture| conversation(fixture, TAKEN).close_number = 1),
    ("a message after the close", "I19", |fixture| {
        let message = Entry { sequence: 3, visitor_sequence: 3, ..fixture.state.entries[0].clone() };
        fixture.state.entries.push(Entry { conversation: SILENT.into(), ..message });
    }),
    ("a close without its entry", "I19", |fixture| {
        fixture.state.entries.retain(|entry| entry.conversation != SILENT || entry.kind != "closed");
    }),
    ("closed twice", "I19", |fixture| {
        fixture.state.entries.retain(|entry| entry.kind != "reopened");
    }),
    ("a response contains data of another account", "I20", |fixture| {
        record(fixture, 3, Kind::Ok).response["text"] = json!("about zqtwo");
    }),
    ("a mail contains data of another account", "I20", |fixture| fixture.state.mails[0].whole.push_str(" zqtwo")),
    ("a subject of another account", "I20", |fixture| {
        let subject = format!("frontdesk.v1.conversation.ConversationStarted.{OTHER_ACCOUNT}.7");
        fixture.state.stream[0] = StreamMessage { subject, ..fixture.state.stream[0].clone() };
    }),
    ("a reader gets an event of another account", "I20", |fixture| {
        fixture.state.readers[1].received[0].account = OTHER_ACCOUNT.into();
    }),
    ("a log contains a text of the workload", "I20", |fixture| fixture.state.leaks.push("log: zqone".into())),
    ("a visitor receives a comment", "I21", |fixture| {
        seen(fixture, 21, 1).response["d"] = json!("message:zq-internal-zq 1");
    }),
    ("a visitor's watch shows that there are comments", "I21", |fixture| {
        seen(fixture, 21, 1).response["d"] = json!("comment:");
    }),
    ("an internal error", "I22", |fixture| {
        let refused = record(fixture, 7, Kind::Fail);
        (refused.code, refused.reason) = ("INTERNAL".into(), "INTERNAL".into());
    }),
    ("UNAVAILABLE without a retry delay", "I22", |fixture| {
        let refused = record(fixture, 5, Kind::Unknown);
        (refused.code, refused.reason) = ("UNAVAILABLE".into(), "UNAVAILABLE".into());
    }),
    ("a panic", "I22", |fixture| fixture.state.panics.push("conversation-1.log: panicked at".into())),
    ("an attachment of a message is removed", "I25", |fixture| {
        fixture.state.attachments.remove(0);
    }),
    ("an attachment of a message is refused", "I25", |fixture| attachment(fixture, "sent").status = "REFUSED".into()),
    ("an attachment of a message will be removed", "I25", |fixture| {
        attachment(fixture, "sent").collect_at = 2_000 * SECOND;
    }),
    ("an attachment of another conversation", "I25", |fixture| {
        attachment(fixture, "sent").conversation = SILENT.into();
    }),
    ("an attachment in two messages", "I25", |fixture| {
        let place = entry(fixture, "m~3 zqone");
        fixture.state.entries[place].attachments = vec!["sent".into()];
    }),
    ("a sent attachment in no message", "I25", |fixture| {
        let unsent = attachment(fixture, "unsent");
        (unsent.sent, unsent.collect_at) = (true, 0);
        fixture.state.downloads.insert("unsent".into(), "unsent~".into());
    }),
    ("an acknowledged message without its attachment", "I25", |fixture| {
        let place = entry(fixture, "m~2 zqone");
        fixture.state.entries[place].attachments.clear();
        fixture.state.attachments.remove(0);
        fixture.state.objects.remove(0);
    }),
    ("an upload that was acknowledged and is still awaited", "I25", |fixture| {
        attachment(fixture, "unsent").status = "PENDING".into();
    }),
    ("other bytes are stored than were uploaded", "I25", |fixture| {
        attachment(fixture, "unsent").sha256 = "other".into();
    }),
    ("a stored file lacks its last byte", "I25", |fixture| fixture.state.objects[1].size = 2),
    ("a stored file is gone", "I25", |fixture| {
        fixture.state.objects.remove(1);
    }),
    ("a download gives other bytes", "I25", |fixture| {
        fixture.state.downloads.insert("sent".into(), "other".into());
    }),
    ("a file that was not sent stays", "I25", |fixture| attachment(fixture, "unsent").collect_at = 0),
    ("a file that was not sent is due and stays", "I25", |fixture| {
        attachment(fixture, "unsent").collect_at = 900 * SECOND;
    }),
    ("an object without a row", "I25", |fixture| {
        fixture.state.attachments.remove(1);
    }),
];

#[test]
fn i20_the_history_of_the_fixture_belongs_to_one_account() {
    assert!(clean().history.iter().all(|record| record.account == ACCOUNT));
}
