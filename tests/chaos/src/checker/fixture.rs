//! A small history and final state in which every rule holds. The tests plant faults in it.

use serde_json::{Value, json};

use super::{Evidence, Verdict, check, counters::METHODS};
use crate::{
    cluster::CallCounts,
    final_state::{
        Assignment, Attachment, Change, Changed, ConsumerProgress, Conversation, Decision, Delivery, Entry, Event,
        Fact, FinalState, FirstStep, Handled, Mail, Object, OwnerRow, QueueState, Queued, Reader, Receipt, Session,
        StreamMessage,
    },
    history::{FaultRecord, Kind, Record},
};

pub(super) const ACCOUNT: &str = "018f0000-0000-7000-8000-00000000000a";
pub(super) const OTHER_ACCOUNT: &str = "018f0000-0000-7000-8000-00000000000b";
pub(super) const SECOND: i64 = 1_000_000;
/// Id of the chat that an agent took over from the bot, closed, reopened and closed again.
pub(super) const TAKEN: &str = "taken";
/// Id of the chat whose visitor became inactive.
pub(super) const SILENT: &str = "silent";
/// Id of the chat that routing gave to an agent, whose only place it took.
pub(super) const ROUTED: &str = "routed";
/// Id of the chat that waits for an agent since then.
pub(super) const WAITING: &str = "waiting";
/// Id of the routing policy of both.
pub(super) const POLICY: &str = "policy";
/// When the log of routing begins.
const LOG_BEGINS: i64 = 900 * SECOND;

/// History, faults and state.
pub(super) struct Fixture {
    pub(super) history: Vec<Record>,
    pub(super) faults: Vec<FaultRecord>,
    pub(super) state: FinalState,
    pub(super) max_lateness: Option<i64>,
    /// Calls that the replicas counted beyond those of the history: method, code and number.
    pub(super) miscounted: Vec<(&'static str, &'static str, i64)>,
    at: u64,
}

impl Fixture {
    pub(super) fn check(&self) -> Verdict {
        let state = FinalState { calls: self.counted(), ..self.state.clone() };
        let (history, faults) = (&self.history, &self.faults);
        check(Evidence { history, faults, state: &state, max_lateness: self.max_lateness })
    }

    /// The calls that the replicas counted.
    fn counted(&self) -> CallCounts {
        let mut calls = CallCounts::new();
        for method in METHODS {
            let of_method = self.history.iter().filter(|record| method.ends_with(&format!("/{}", record.call)));
            for record in of_method {
                let code = match record.kind {
                    Kind::Ok => "OK",
                    Kind::Fail => record.code.as_str(),
                    _ => continue,
                };
                *calls.entry(method.to_owned()).or_default().entry(code.to_owned()).or_default() += 1;
            }
        }
        for (method, code, number) in &self.miscounted {
            let count = calls.entry((*method).to_owned()).or_default().entry((*code).to_owned()).or_default();
            *count = count.saturating_add_signed(*number);
        }
        calls
    }

    /// Adds a record.
    pub(super) fn line(
        &mut self,
        (op, call, actor, key): (u64, &str, &str, &str),
        kind: Kind,
        arguments: Value,
        response: Value,
    ) {
        self.at += 10;
        self.history.push(Record {
            n: self.history.len() as u64,
            at: self.at,
            kind,
            op,
            attempt: 1,
            call: call.into(),
            account: ACCOUNT.into(),
            actor: actor.into(),
            key: key.into(),
            request_id: if call.starts_with("Watch") { String::new() } else { format!("r{op}") },
            arguments,
            response,
            code: String::new(),
            reason: String::new(),
        });
    }

    /// Adds an operation that is acknowledged at its first attempt.
    fn done(&mut self, of: (u64, &str, &str, &str), arguments: Value, response: Value) {
        self.line(of, Kind::Invoke, arguments, Value::Null);
        self.line(of, Kind::Ok, Value::Null, response);
    }

    fn entry(&mut self, conversation: &str, visitor_sequence: i64, author: &str, kind: &str, text: &str, at: i64) {
        let sequence = self.state.entries.iter().filter(|entry| entry.conversation == conversation).count() as i64 + 1;
        let (author_kind, author) = author.split_once(':').unwrap_or((author, ""));
        self.state.entries.push(Entry {
            conversation: conversation.into(),
            sequence,
            visitor_sequence,
            author_kind: author_kind.into(),
            author: author.into(),
            kind: kind.into(),
            text: text.into(),
            attachments: Vec::new(),
            at,
        });
    }

    /// Adds an event, also to its stream.
    fn event(&mut self, source: &str, aggregate: &str, kind: &str, fact: Fact) {
        let version = self.state.events.iter().filter(|event| event.aggregate == aggregate).count() as i64 + 1;
        let id = format!("{aggregate}-{version}");
        let sequence = self.state.stream.len() as u64 + 1;
        let subject = format!("frontdesk.v1.{source}.{kind}.{ACCOUNT}.7");
        self.state.stream.push(StreamMessage { stream: source.into(), sequence, subject, event: id.clone() });
        self.state.events.push(Event {
            source: source.into(),
            id,
            account: ACCOUNT.into(),
            aggregate: aggregate.into(),
            version,
            kind: kind.into(),
            at: sequence as i64 * SECOND,
            fact,
            published: true,
        });
    }
}

/// A fixture in which every rule holds.
pub(super) fn clean() -> Fixture {
    let mut fixture = Fixture {
        history: Vec::new(),
        faults: Vec::new(),
        state: FinalState::default(),
        max_lateness: Some(SECOND),
        miscounted: Vec::new(),
        at: 0,
    };
    fixture.state.canaries =
        [(ACCOUNT.to_owned(), "zqone".to_owned()), (OTHER_ACCOUNT.to_owned(), "zqtwo".to_owned())].into();
    fixture.state.bot_texts = vec!["Hello!".into()];
    fixture.state.now = 1_000 * SECOND;
    taken(&mut fixture);
    silent(&mut fixture);
    routed(&mut fixture);
    mails(&mut fixture);
    attachments(&mut fixture);
    watches(&mut fixture);
    readers(&mut fixture);
    for consumer in ["notification.decide", "conversation.sent_transcripts", "assignment.history"] {
        fixture.state.consumers.push(ConsumerProgress { name: consumer.into(), pending: 0, unacknowledged: 0 });
    }
    let marks = |kind: &str| match kind {
        "ConversationClosed" => Some("notification.decide"),
        "DeliverySent" => Some("conversation.sent_transcripts"),
        "ConversationStarted" | "AssigneeChanged" | "ConversationReopened" => Some("assignment.history"),
        _ => None,
    };
    for event in &fixture.state.events {
        if let Some(consumer) = marks(&event.kind) {
            fixture.state.handled.push(Handled { consumer: consumer.into(), event: event.id.clone() });
        }
    }
    fixture
}

fn taken(fixture: &mut Fixture) {
    let (visitor, agent) = ("visitor:v", "agent:ada");
    fixture.done((1, "StartChat", visitor, ""), json!({"text": "m~1 zqone"}), json!({"chat": TAKEN}));
    fixture.entry(TAKEN, 1, "VISITOR:v", "message", "m~1 zqone", 10 * SECOND);
    let started = started("s1", 10 * SECOND);
    fixture.event("conversation", TAKEN, "ConversationStarted", started);
    fixture.event("conversation", TAKEN, "MessagePosted", Fact::Message { sequence: 1 });
    fixture.entry(TAKEN, 2, "BOT:b", "message", "Hello!", 11 * SECOND);
    fixture.event("conversation", TAKEN, "MessagePosted", Fact::Message { sequence: 2 });
    let owner = json!({"epoch": 2, "owner": "AGENT:ada"});
    fixture.done((2, "TakeOverConversation", agent, TAKEN), json!({"expected_epoch": 1}), owner);
    fixture.entry(TAKEN, 3, "AGENT:ada", "assignee_changed", "", 12 * SECOND);
    let (from, to, ended, cause) = ("BOT:b".into(), "AGENT:ada".into(), "s1".into(), "BY_HAND".into());
    fixture.event("conversation", TAKEN, "AssigneeChanged", Fact::Assignee { epoch: 2, from, to, ended, cause });
    fixture.done((3, "PostMessage", agent, TAKEN), json!({"text": "m~2 zqone"}), json!({"sequence": 4}));
    fixture.entry(TAKEN, 4, "AGENT:ada", "message", "m~2 zqone", 13 * SECOND);
    fixture.event("conversation", TAKEN, "MessagePosted", Fact::Message { sequence: 4 });
    fixture.done((4, "PostComment", agent, TAKEN), json!({"text": "zq-internal-zq 1"}), json!({"sequence": 5}));
    fixture.entry(TAKEN, 0, "AGENT:ada", "comment", "zq-internal-zq 1", 14 * SECOND);
    fixture.event("conversation", TAKEN, "CommentPosted", Fact::Comment { sequence: 5 });
    // Two attempts: the response to the first one was lost.
    let say = (5, "SendMessage", visitor, TAKEN);
    fixture.line(say, Kind::Invoke, json!({"text": "m~3 zqone"}), Value::Null);
    fixture.line(say, Kind::Unknown, Value::Null, Value::Null);
    fixture.done(say, json!({"text": "m~3 zqone"}), json!({"visitor_sequence": 5}));
    fixture.entry(TAKEN, 5, "VISITOR:v", "message", "m~3 zqone", 15 * SECOND);
    fixture.event("conversation", TAKEN, "MessagePosted", Fact::Message { sequence: 6 });
    fixture.done((6, "CloseConversation", agent, TAKEN), json!({}), json!({"close_number": 1}));
    fixture.entry(TAKEN, 6, "AGENT:ada", "closed", "", 16 * SECOND);
    close(fixture, TAKEN, (1, "AGENT", "", 7), 16 * SECOND, true);
    let late = (7, "SendMessage", visitor, TAKEN);
    fixture.line(late, Kind::Invoke, json!({"text": "m~4 zqone"}), Value::Null);
    fixture.line(late, Kind::Fail, Value::Null, Value::Null);
    fixture.entry(TAKEN, 7, "AGENT:ada", "reopened", "", 17 * SECOND);
    let reopened = Fact::Reopened { epoch: 3, by: "AGENT:ada".into(), routed: false };
    fixture.event("conversation", TAKEN, "ConversationReopened", reopened);
    fixture.entry(TAKEN, 8, "AGENT:ada", "closed", "", 18 * SECOND);
    close(fixture, TAKEN, (2, "AGENT", "", 9), 18 * SECOND, true);
    for at in 0..3 {
        fixture.entry(TAKEN, 0, "SYSTEM", "transcript_sent", "", (19 + at) * SECOND);
    }
    fixture.state.conversations.push(Conversation {
        id: TAKEN.into(),
        account: ACCOUNT.into(),
        status: "CLOSED".into(),
        assignee: "AGENT:ada".into(),
        epoch: 3,
        session_in_charge: String::new(),
        timeout: 60 * SECOND,
        last_sequence: 12,
        last_visitor_sequence: 8,
        close_number: 2,
        last_visitor_activity: 15 * SECOND,
    });
    fixture.state.sessions.push(session("s1", TAKEN, "TAKEN_OVER"));
    for (epoch, owner) in [(1, "BOT:b"), (2, "AGENT:ada"), (3, "AGENT:ada")] {
        fixture.state.assignments.push(Assignment { conversation: TAKEN.into(), epoch, owner: owner.into() });
    }
    fixture.state.routing.owners.push(owner_row(TAKEN, "ada", 3, false));
    fixture.done((8, "SendTranscript", agent, TAKEN), json!({}), json!({"delivery": "d-hand"}));
}

/// The start of a chat with a bot.
fn started(session: &str, at: i64) -> Fact {
    let (session, owner) = (session.into(), "BOT:b".into());
    Fact::Started { session, timeout: 60 * SECOND, at, owner, policy: String::new() }
}

/// What the assignment service knows of an owner.
pub(super) fn owner_row(conversation: &str, agent: &str, epoch: i64, open: bool) -> OwnerRow {
    OwnerRow { conversation: conversation.into(), agent: agent.into(), epoch, open }
}

/// A row of the queue.
pub(super) fn queued(conversation: &str, since: i64, state: QueueState, agent: &str) -> Queued {
    let (conversation, policy, owners) = (conversation.into(), POLICY.into(), String::new());
    Queued { conversation, epoch: 1, policy, owners, since, state, agent: agent.into() }
}

/// Two chats wait for an agent who takes one conversation: routing gives them the older one.
fn routed(fixture: &mut Fixture) {
    for (op, id, epoch, owner) in [(13, ROUTED, 2, "AGENT:eve"), (14, WAITING, 1, "")] {
        fixture.done((op, "StartChat", "visitor:x", ""), json!({"text": ""}), json!({"chat": id}));
        let (session, policy) = (String::new(), POLICY.into());
        let started = Fact::Started { session, timeout: 0, at: LOG_BEGINS, owner: String::new(), policy };
        fixture.event("conversation", id, "ConversationStarted", started);
        fixture.state.conversations.push(Conversation {
            id: id.into(),
            account: ACCOUNT.into(),
            status: "OPEN".into(),
            assignee: owner.into(),
            epoch,
            last_visitor_activity: LOG_BEGINS,
            ..Conversation::default()
        });
        let agent = owner.trim_start_matches("AGENT:");
        fixture.state.routing.owners.push(owner_row(id, agent, epoch, true));
    }
    let (from, to, ended, cause) = (String::new(), "AGENT:eve".into(), String::new(), "ROUTED".into());
    fixture.event("conversation", ROUTED, "AssigneeChanged", Fact::Assignee { epoch: 2, from, to, ended, cause });
    fixture.entry(ROUTED, 1, "SYSTEM", "assignee_changed", "", LOG_BEGINS + SECOND);
    let conversation = fixture.state.conversations.iter_mut().find(|one| one.id == ROUTED).expect("the routed chat");
    (conversation.last_sequence, conversation.last_visitor_sequence) = (1, 1);
    fixture.state.assignments.push(Assignment { conversation: ROUTED.into(), epoch: 2, owner: "AGENT:eve".into() });
    let since = |id: &str| if id == ROUTED { LOG_BEGINS } else { LOG_BEGINS + 1 };
    let waits = |id: &str| Changed::Queued(queued(id, since(id), QueueState::Waiting, ""));
    let heard_at = LOG_BEGINS + 60 * SECOND;
    let changes = [
        Changed::Agent { agent: "eve".into(), active: true, capacity: Some(1) },
        waits(ROUTED),
        waits(WAITING),
        Changed::Status { agent: "eve".into(), available: true, heard_at },
        Changed::Queued(queued(ROUTED, since(ROUTED), QueueState::Reserved, "eve")),
        Changed::Owned(owner_row(ROUTED, "eve", 2, true)),
        Changed::Dequeued { conversation: ROUTED.into() },
    ];
    let routing = &mut fixture.state.routing;
    for (number, what) in (0..).zip(changes) {
        routing.changes.push(Change { at: LOG_BEGINS + number * SECOND / 10, what });
    }
    routing.queue.push(queued(WAITING, since(WAITING), QueueState::Waiting, ""));
    routing.policies.push(FirstStep { policy: POLICY.into(), agents: Vec::new(), anybody: true });
}

fn silent(fixture: &mut Fixture) {
    fixture.done((9, "StartChat", "visitor:w", ""), json!({"text": ""}), json!({"chat": SILENT}));
    let started = started("s2", 20 * SECOND);
    fixture.event("conversation", SILENT, "ConversationStarted", started);
    let say = (10, "SendMessage", "visitor:w", SILENT);
    fixture.done(say, json!({"text": "m~5 zqone"}), json!({"visitor_sequence": 1}));
    fixture.entry(SILENT, 1, "VISITOR:w", "message", "m~5 zqone", 30 * SECOND);
    fixture.event("conversation", SILENT, "MessagePosted", Fact::Message { sequence: 1 });
    fixture.entry(SILENT, 2, "SYSTEM", "closed", "", 90 * SECOND + 1_000);
    close(fixture, SILENT, (1, "VISITOR_INACTIVE", "s2", 2), 90 * SECOND + 1_000, false);
    fixture.state.conversations.push(Conversation {
        id: SILENT.into(),
        account: ACCOUNT.into(),
        status: "CLOSED".into(),
        assignee: "BOT:b".into(),
        epoch: 1,
        session_in_charge: String::new(),
        timeout: 60 * SECOND,
        last_sequence: 2,
        last_visitor_sequence: 2,
        close_number: 1,
        last_visitor_activity: 30 * SECOND,
    });
    fixture.state.sessions.push(session("s2", SILENT, "TIMED_OUT"));
    fixture.state.assignments.push(Assignment { conversation: SILENT.into(), epoch: 1, owner: "BOT:b".into() });
    fixture.state.routing.owners.push(owner_row(SILENT, "", 1, false));
}

fn session(id: &str, conversation: &str, status: &str) -> Session {
    Session { id: id.into(), conversation: conversation.into(), status: status.into(), ..Session::default() }
}

fn close(
    fixture: &mut Fixture,
    id: &str,
    (number, reason, session, sequence): (i64, &str, &str, i64),
    at: i64,
    eligible: bool,
) {
    let (reason, session) = (reason.into(), session.into());
    let fact = Fact::Closed { number, reason, session, sequence, at, eligible, unverified: false };
    fixture.event("conversation", id, "ConversationClosed", fact);
}

fn mails(fixture: &mut Fixture) {
    let decision = |conversation: &str, number, skip: &str, delivery: &str| Decision {
        conversation: conversation.into(),
        number,
        skip: skip.into(),
        delivery: delivery.into(),
    };
    fixture.state.decisions =
        vec![decision(TAKEN, 1, "", "d1"), decision(TAKEN, 2, "", "d2"), decision(SILENT, 1, "BOT_CONVERSATION", "")];
    for (id, kind, until) in [("d1", "TRANSCRIPT", 7), ("d2", "TRANSCRIPT", 9), ("d-hand", "MANUAL_TRANSCRIPT", 9)] {
        fixture.state.deliveries.push(Delivery {
            id: id.into(),
            account: ACCOUNT.into(),
            kind: kind.into(),
            state: "SENT".into(),
            conversation: TAKEN.into(),
            until_sequence: until,
            message_id: format!("<{id}@zqone.example>"),
            unknown: 0,
        });
        let sent = Fact::Sent { delivery: id.into(), conversation: TAKEN.into() };
        fixture.event("notification", id, "DeliverySent", sent);
        fixture.state.mails.push(mail(id));
    }
}

/// The mail of a delivery.
pub(super) fn mail(delivery: &str) -> Mail {
    let text = "m~1 zqone\n Hello!\n m~2 zqone\n m~3 zqone";
    Mail {
        message_id: format!("<{delivery}@zqone.example>"),
        recipient: "v@zqone.example".into(),
        hash: delivery.into(),
        text: text.into(),
        whole: text.into(),
        answered: true,
        at: 5_000,
    }
}

/// A file that was sent with a message, and one that is not sent yet.
fn attachments(fixture: &mut Fixture) {
    for (op, id, sent) in [(11, "sent", true), (12, "unsent", false)] {
        let put = (op, "PutAttachment", "visitor:v", TAKEN);
        fixture.done(put, json!({"attachment": id, "sha256": format!("{id}~")}), json!({"status": "READY"}));
        fixture.state.attachments.push(Attachment {
            id: id.into(),
            conversation: TAKEN.into(),
            status: "READY".into(),
            size: 3,
            sha256: format!("{id}~"),
            object: "o".into(),
            sent,
            collect_at: if sent { 0 } else { 2_000 * SECOND },
        });
        fixture.state.objects.push(Object { attachment: id.into(), id: "o".into(), size: 3 });
    }
    fixture.state.downloads = [("sent".to_owned(), "sent~".to_owned())].into();
    let sent = fixture.history.iter_mut().find(|record| record.op == 3).expect("a message");
    sent.arguments["attachments"] = json!(["sent"]);
    let entry = fixture.state.entries.iter_mut().find(|entry| entry.text == "m~2 zqone").expect("its entry");
    entry.attachments = vec!["sent".into()];
}

/// Each reader has received every event.
fn readers(fixture: &mut Fixture) {
    let receipts = (1..).zip(&fixture.state.events).map(|(place, event)| Receipt {
        event: event.id.clone(),
        account: ACCOUNT.into(),
        place,
        at: event.at + SECOND,
    });
    let received: Vec<Receipt> = receipts.collect();
    for name in ["nats", "grpc", "webhook"] {
        let (account, received) = (ACCOUNT.into(), received.clone());
        fixture.state.readers.push(Reader { name: name.into(), account, received, ..Reader::default() });
    }
}

fn watches(fixture: &mut Fixture) {
    let thread = (20, "WatchThread", "agent:ada", TAKEN);
    fixture.line(thread, Kind::Invoke, json!({"after": 3}), Value::Null);
    for (sequence, digest) in [(4, "message:m~2 zqone"), (5, "comment:zq-internal-zq 1"), (6, "message:m~3 zqone")] {
        fixture.line(thread, Kind::Received, Value::Null, json!({"s": sequence, "d": digest}));
    }
    for (sequence, digest) in [(7, "closed"), (8, "reopened"), (9, "closed")] {
        fixture.line(thread, Kind::Received, Value::Null, json!({"s": sequence, "d": digest}));
    }
    for sequence in 10..=12 {
        fixture.line(thread, Kind::Received, Value::Null, json!({"s": sequence, "d": "transcript_sent"}));
    }
    fixture.line(thread, Kind::Ok, Value::Null, Value::Null);
    let chat = (21, "WatchChat", "visitor:w", SILENT);
    fixture.line(chat, Kind::Invoke, json!({"after": 0}), Value::Null);
    fixture.line(chat, Kind::Received, Value::Null, json!({"s": 1, "d": "message:m~5 zqone"}));
    fixture.line(chat, Kind::Received, Value::Null, json!({"s": 2, "d": "closed"}));
    fixture.line(chat, Kind::Ok, Value::Null, Value::Null);
}
