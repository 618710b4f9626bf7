//! The checker is checked: a clean world passes, and every planted fault is found by its rule.

use serde_json::{Value, json};

use super::world::{OTHER_SHOP, SECOND, SHOP, SILENT, TAKEN, World, clean, mail};
use crate::{
    history::{FaultRecord, Kind, Record},
    state::{ConsumerProgress, Conversation, Delivery, Entry, Event, Fact, Handled, Session, Streamed},
};

/// A fault: what it is, the rule that must find it, and how it is planted.
type Planted = (&'static str, &'static str, fn(&mut World));

#[test]
fn a_clean_world_passes_and_every_rule_was_evaluated() {
    let verdict = clean().check();
    assert_eq!(verdict.total(), 0, "{verdict:?}");
    let rules: Vec<&str> = verdict.0.keys().copied().collect();
    let all = [
        "I1", "I10", "I11", "I12", "I13", "I14", "I17", "I18", "I19", "I2", "I20", "I21", "I22", "I3", "I4", "I5",
        "I6", "I7", "I8", "I9",
    ];
    assert_eq!(rules, all);
}

#[test]
fn a_rule_without_evidence_is_not_evaluated() {
    let mut world = clean();
    world.history.retain(|record| record.kind != Kind::Seen);
    world.latest = None;
    let verdict = world.check();
    assert!(!verdict.0.contains_key("I3") && !verdict.0.contains_key("I8"), "{verdict:?}");
}

#[test]
fn every_planted_fault_is_found_by_its_rule() {
    let mut unseen = Vec::new();
    for (what, rule, plant) in PLANTED {
        let mut world = clean();
        plant(&mut world);
        if world.check().of(&[rule]) == 0 {
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
fn a_mail_whose_first_answer_was_lost_may_come_twice_and_no_more() {
    let mut world = clean();
    delivery(&mut world, "d1").unknown = 1;
    world.state.mails[0].answered = false;
    world.state.mails.push(mail("d1"));
    assert_eq!(world.check().total(), 0);
    world.state.mails.push(mail("d1"));
    assert_eq!(world.check().of(&["I10"]), 1);
}

#[test]
fn a_mail_may_come_twice_when_the_service_died_in_between() {
    let mut world = clean();
    delivery(&mut world, "d1").unknown = 1;
    let mut again = mail("d1");
    again.at += 3_000_000_000;
    world.state.mails.push(again);
    assert_eq!(world.check().of(&["I10"]), 1, "nothing explains it");
    let (fault, target) = ("kill".into(), "notification-2".into());
    world.faults.push(FaultRecord { fault, target, from: 6_000, to: 9_000 });
    assert_eq!(world.check().total(), 0);
}

fn entry(world: &mut World, text: &str) -> usize {
    world.state.entries.iter().position(|entry| entry.text == text).unwrap()
}

fn conversation<'a>(world: &'a mut World, id: &str) -> &'a mut Conversation {
    world.state.conversations.iter_mut().find(|one| one.id == id).unwrap()
}

fn event<'a>(world: &'a mut World, aggregate: &str, version: i64) -> &'a mut Event {
    world.state.events.iter_mut().find(|event| event.aggregate == aggregate && event.version == version).unwrap()
}

fn delivery<'a>(world: &'a mut World, id: &str) -> &'a mut Delivery {
    world.state.deliveries.iter_mut().find(|one| one.id == id).unwrap()
}

fn record(world: &mut World, op: u64, kind: Kind) -> &mut Record {
    world.history.iter_mut().find(|record| record.op == op && record.kind == kind).unwrap()
}

fn seen(world: &mut World, op: u64, sequence: i64) -> &mut Record {
    world.history.iter_mut().find(|record| record.op == op && record.answer["s"] == sequence).unwrap()
}

fn fact<'a>(world: &'a mut World, aggregate: &str, kind: &str) -> &'a mut Fact {
    let found = world.state.events.iter_mut().find(|event| event.aggregate == aggregate && event.kind == kind);
    &mut found.unwrap().fact
}

/// Cuts the silent chat's timeout to another moment.
fn close_at(world: &mut World, moment: i64) {
    if let Fact::Closed { at, .. } = fact(world, SILENT, "ConversationClosed") {
        *at = moment;
    }
}

const PLANTED: &[Planted] = &[
    ("an acknowledged message is lost", "I1", |world| {
        let place = entry(world, "m~2 zqone");
        world.state.entries.remove(place);
    }),
    ("a message comes from nowhere", "I1", |world| {
        let place = entry(world, "m~2 zqone");
        world.state.entries[place].text = "m~99".into();
    }),
    ("a refused message is there", "I1", |world| {
        let place = entry(world, "m~3 zqone");
        world.state.entries[place].text = "m~4 zqone".into();
    }),
    ("a message is another's", "I1", |world| {
        let place = entry(world, "m~2 zqone");
        world.state.entries[place].author_kind = "VISITOR".into();
    }),
    ("a bot says what no bot says", "I1", |world| {
        let place = entry(world, "Hello!");
        world.state.entries[place].text = "Hi!".into();
    }),
    ("a gap in a thread", "I2", |world| {
        let place = entry(world, "m~3 zqone");
        world.state.entries.remove(place);
    }),
    ("two entries with one number", "I2", |world| {
        let place = entry(world, "m~3 zqone");
        world.state.entries[place].sequence = 4;
    }),
    ("a gap in what the visitor sees", "I2", |world| {
        let place = entry(world, "m~3 zqone");
        world.state.entries[place].visitor_sequence = 9;
    }),
    ("a later message comes before an acknowledged one", "I2", |world| {
        let (one, other) = (entry(world, "m~1 zqone"), entry(world, "m~2 zqone"));
        world.state.entries[one].sequence = 4;
        world.state.entries[other].sequence = 1;
    }),
    ("a watcher misses one", "I3", |world| {
        world.history.retain(|record| record.op != 20 || record.answer["s"] != 5);
    }),
    ("a watcher is told twice", "I3", |world| {
        let again = seen(world, 20, 5).clone();
        let place = world.history.iter().position(|record| record.op == 20 && record.answer["s"] == 6).unwrap();
        world.history.insert(place, again);
    }),
    ("two come in the wrong order", "I3", |world| {
        seen(world, 20, 5).answer["s"] = json!(60);
        seen(world, 20, 6).answer["s"] = json!(5);
        seen(world, 20, 60).answer["s"] = json!(6);
    }),
    ("a watcher is told something else", "I3", |world| {
        seen(world, 21, 1).answer["d"] = json!("message:other");
    }),
    ("a watcher never comes to the end", "I3", |world| {
        world.history.retain(|record| record.op != 21 || record.answer["s"] != 2);
    }),
    ("a repeat takes effect twice", "I4", |world| {
        let place = entry(world, "m~3 zqone");
        let again = Entry { sequence: 13, visitor_sequence: 9, ..world.state.entries[place].clone() };
        world.state.entries.push(again);
    }),
    ("a repeat gets another answer", "I4", |world| {
        let again = Record { answer: json!({"visitor_sequence": 6}), ..record(world, 5, Kind::Ok).clone() };
        world.history.push(again);
    }),
    ("another content is accepted under the same id", "I4", |world| {
        for (kind, given) in [(Kind::Invoke, json!({"text": "m~other"})), (Kind::Ok, Value::Null)] {
            let of = (30, "SendMessage", "visitor:v", TAKEN);
            world.line(of, kind, given, json!({"visitor_sequence": 5}));
            world.history.last_mut().unwrap().request_id = "r5".into();
        }
    }),
    ("a reused id is refused for another reason", "I4", |world| {
        world.line((31, "SendMessage", "visitor:v", TAKEN), Kind::Fail, json!({"reused": true}), Value::Null);
        world.history.last_mut().unwrap().reason = "NOT_FOUND".into();
    }),
    ("two open sessions", "I5", |world| {
        for id in ["s1", "s3"] {
            let (id, conversation, status) = (id.into(), TAKEN.into(), "OPEN".into());
            world.state.sessions.push(Session { id, conversation, status, deadline: 0 });
        }
    }),
    ("a session that never began", "I5", |world| {
        let (id, conversation, status) = ("s3".into(), SILENT.into(), "CLOSED".into());
        world.state.sessions.push(Session { id, conversation, status, deadline: 0 });
    }),
    ("the row has a session in charge that ended", "I5", |world| {
        conversation(world, TAKEN).session_in_charge = "s1".into();
    }),
    ("a timeout closes after the takeover", "I6", |world| {
        if let Fact::Closed { reason, session, .. } = fact(world, TAKEN, "ConversationClosed") {
            (*reason, *session) = ("VISITOR_INACTIVE".into(), "s1".into());
        }
    }),
    ("a timeout names no session", "I6", |world| {
        if let Fact::Closed { session, .. } = fact(world, SILENT, "ConversationClosed") {
            session.clear();
        }
    }),
    ("a timeout of another session", "I6", |world| {
        if let Fact::Closed { session, .. } = fact(world, SILENT, "ConversationClosed") {
            *session = "s1".into();
        }
    }),
    ("a timeout a microsecond early", "I7", |world| close_at(world, 90 * SECOND - 1)),
    ("a timeout that forgot the visitor's message", "I7", |world| close_at(world, 80 * SECOND + 1)),
    ("a timeout that came late", "I8", |world| close_at(world, 91 * SECOND + 1)),
    ("a timeout that came a minute late", "I8", |world| close_at(world, 150 * SECOND)),
    ("a session past its deadline", "I9", |world| {
        let session = &mut world.state.sessions[1];
        (session.status, session.deadline) = ("OPEN".into(), 90 * SECOND);
    }),
    ("a row whose timeout passed", "I9", |world| {
        conversation(world, SILENT).session_in_charge = "s2".into();
    }),
    ("no mail for an eligible close", "I10", |world| {
        world.state.mails.remove(0);
    }),
    ("a second mail without a reason", "I10", |world| world.state.mails.push(mail("d1"))),
    ("a second mail with other bytes", "I10", |world| {
        delivery(world, "d1").unknown = 1;
        world.state.mails[0].answered = false;
        world.state.mails.push(mail("d1"));
        world.state.mails[3].hash = "other".into();
    }),
    ("a delivery that failed though no server refused", "I10", |world| {
        delivery(world, "d1").state = "FAILED".into();
        world.state.mails.remove(0);
    }),
    ("a delivery that is still on its way", "I10", |world| delivery(world, "d1").state = "QUEUED".into()),
    ("a manual mail twice", "I11", |world| world.state.mails.push(mail("d-hand"))),
    ("a manual mail that nobody asked for", "I11", |world| world.history.retain(|record| record.op != 8)),
    ("an acknowledged manual mail that is not there", "I11", |world| {
        world.state.deliveries.retain(|delivery| delivery.id != "d-hand");
    }),
    ("a close without a decision", "I12", |world| {
        world.state.decisions.remove(0);
    }),
    ("two decisions for a close", "I12", |world| {
        let again = world.state.decisions[0].clone();
        world.state.decisions.push(again);
    }),
    ("a decision against the facts", "I12", |world| {
        let decision = &mut world.state.decisions[2];
        (decision.skip, decision.delivery) = (String::new(), "d1".into());
    }),
    ("a mail without a delivery", "I12", |world| world.state.mails.push(mail("d9"))),
    ("a transcript lacks a message", "I13", |world| {
        world.state.mails[0].text = "m~1 zqone\n m~2 zqone".into();
    }),
    ("a transcript has them in another order", "I13", |world| {
        world.state.mails[0].text = "m~2 zqone\n m~1 zqone\n m~3 zqone".into();
    }),
    ("a transcript holds a comment", "I13", |world| world.state.mails[0].whole.push_str(" zq-internal-zq 1")),
    ("an epoch is skipped", "I14", |world| {
        if let Fact::Reopened { epoch, .. } = fact(world, TAKEN, "ConversationReopened") {
            *epoch = 4;
        }
    }),
    ("a change starts from another owner", "I14", |world| {
        if let Fact::Assignee { from, .. } = fact(world, TAKEN, "AssigneeChanged") {
            *from = "AGENT:bob".into();
        }
    }),
    ("two win one takeover", "I14", |world| {
        for kind in [Kind::Invoke, Kind::Ok] {
            let of = (40, "TakeOverConversation", "agent:bob", TAKEN);
            world.line(of, kind, json!({"expected_epoch": 1}), json!({"epoch": 2, "owner": "AGENT:bob"}));
        }
    }),
    ("the row has another owner", "I14", |world| conversation(world, TAKEN).assignee = "AGENT:bob".into()),
    ("an event is missing", "I17", |world| {
        world.state.events.retain(|event| event.aggregate != TAKEN || event.version != 3);
    }),
    ("an event without its change", "I17", |world| {
        let place = entry(world, "m~3 zqone");
        world.state.entries[place].kind = "comment".into();
    }),
    ("a sent transcript is noted twice", "I17", |world| {
        let place = world.state.entries.iter().position(|entry| entry.kind == "transcript_sent").unwrap();
        let again = Entry { sequence: 13, ..world.state.entries[place].clone() };
        world.state.entries.push(again);
        conversation(world, TAKEN).last_sequence = 13;
    }),
    ("an event was never published", "I17", |world| event(world, TAKEN, 2).published = false),
    ("an event is in no stream", "I17", |world| {
        world.state.stream.remove(2);
    }),
    ("two events are in the stream in the wrong order", "I17", |world| world.state.stream.swap(1, 2)),
    ("a consumer never came to the end", "I17", |world| {
        world.state.consumers.push(ConsumerProgress { name: "x".into(), pending: 0, unacknowledged: 1 });
    }),
    ("a consumer passed an event over", "I17", |world| {
        world.state.handled.remove(0);
    }),
    ("a consumer gave an event up", "I17", |world| {
        let (consumer, event) = ("notification.decide".into(), format!("{TAKEN}-1"));
        world.state.dead_letters.push(Handled { consumer, event });
    }),
    ("bot-session believes something else", "I18", |world| world.state.sessions[0].status = "CLOSED".into()),
    ("bot-session never heard of a session", "I18", |world| {
        world.state.sessions.remove(0);
    }),
    ("assignment believes in another owner", "I18", |world| world.state.assignments[1].owner = "AGENT:bob".into()),
    ("assignment missed a change", "I18", |world| {
        world.state.assignments.remove(2);
    }),
    ("the row counts its closes wrongly", "I18", |world| conversation(world, TAKEN).close_number = 1),
    ("a message after the close", "I19", |world| {
        let message = Entry { sequence: 3, visitor_sequence: 3, ..world.state.entries[0].clone() };
        world.state.entries.push(Entry { conversation: SILENT.into(), ..message });
    }),
    ("a close without its entry", "I19", |world| {
        world.state.entries.retain(|entry| entry.conversation != SILENT || entry.kind != "closed");
    }),
    ("closed twice", "I19", |world| {
        world.state.entries.retain(|entry| entry.kind != "reopened");
    }),
    ("an answer tells of another account", "I20", |world| {
        record(world, 3, Kind::Ok).answer["text"] = json!("about zqtwo");
    }),
    ("a mail tells of another account", "I20", |world| world.state.mails[0].whole.push_str(" zqtwo")),
    ("a subject of another account", "I20", |world| {
        let subject = format!("frontdesk.v1.conversation.ConversationStarted.{OTHER_SHOP}.7");
        world.state.stream[0] = Streamed { subject, ..world.state.stream[0].clone() };
    }),
    ("a log holds what somebody wrote", "I20", |world| world.state.leaks.push("log: zqone".into())),
    ("a visitor is told a comment", "I21", |world| {
        seen(world, 21, 1).answer["d"] = json!("message:zq-internal-zq 1");
    }),
    ("a visitor's watch shows that there are comments", "I21", |world| {
        seen(world, 21, 1).answer["d"] = json!("comment:");
    }),
    ("our fault", "I22", |world| {
        let refused = record(world, 7, Kind::Fail);
        (refused.code, refused.reason) = ("INTERNAL".into(), "INTERNAL".into());
    }),
    ("not available, and no word when to come back", "I22", |world| {
        let refused = record(world, 5, Kind::Unknown);
        (refused.code, refused.reason) = ("UNAVAILABLE".into(), "UNAVAILABLE".into());
    }),
    ("a panic", "I22", |world| world.state.panics.push("conversation-1.log: panicked at".into())),
];

#[test]
fn the_account_of_the_world_is_its_own() {
    assert!(clean().history.iter().all(|record| record.account == SHOP));
}
