//! What is true at the end: every fact that the checker compares the history with, read after all faults healed and the
//! queues are empty. Plain data, so that tests can plant faults in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state at the end. Times are microseconds of the databases' clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Final {
    /// The databases' clock when it was read.
    pub now: i64,
    /// Rows of conversations.
    pub conversations: Vec<Conversation>,
    /// Entries, by conversation and sequence.
    pub entries: Vec<Entry>,
    /// The events that the outboxes hold, by aggregate and version.
    pub events: Vec<Event>,
    /// What the streams of the broker hold, in their order.
    pub stream: Vec<Streamed>,
    /// How far the broker's durable consumers came.
    pub consumers: Vec<ConsumerProgress>,
    /// Marks of handled events.
    pub handled: Vec<Handled>,
    /// Dead letters.
    pub dead_letters: Vec<Handled>,
    /// Bot sessions as the bot-session service knows them.
    pub sessions: Vec<Session>,
    /// Stretches of ownership as the assignment service knows them.
    pub assignments: Vec<Assignment>,
    /// Decisions about transcripts.
    pub decisions: Vec<Decision>,
    /// Deliveries.
    pub deliveries: Vec<Delivery>,
    /// What the SMTP sink accepted, in its order.
    pub mails: Vec<Mail>,
    /// Lines of logs that tell of a panic, `file: line`.
    pub panics: Vec<String>,
    /// Lines of logs that hold a canary, `file: line`.
    pub leaks: Vec<String>,
    /// Each account's canary.
    pub canaries: BTreeMap<String, String>,
    /// The texts that bots of the run say.
    pub bot_texts: Vec<String>,
}

/// A conversation's row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: String,
    /// `OPEN` or `CLOSED`.
    pub status: String,
    /// `AGENT:id`, `BOT:id`, or empty.
    pub assignee: String,
    /// Ownership epoch.
    pub epoch: i64,
    /// The session in charge, or empty.
    pub session_in_charge: String,
    /// Its timeout; 0: none.
    pub timeout: i64,
    /// Number of the newest entry.
    pub last_sequence: i64,
    /// Number of the newest entry that the visitor sees.
    pub last_visitor_sequence: i64,
    /// How often it was closed.
    pub close_number: i64,
    /// When the visitor was last active.
    pub last_visitor_activity: i64,
}

/// An entry of a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The conversation.
    pub conversation: String,
    /// Its number.
    pub sequence: i64,
    /// Its number for the visitor; 0: unseen.
    pub visitor_sequence: i64,
    /// `VISITOR`, `AGENT`, `BOT` or `SYSTEM`.
    pub author_kind: String,
    /// Who.
    pub author: String,
    /// `message`, `comment`, `closed`, `reopened`, …
    pub kind: String,
    /// Text of a message or comment.
    pub text: String,
    /// When.
    pub at: i64,
}

/// An event in an outbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The service that owns it.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: String,
    /// What changed.
    pub aggregate: String,
    /// The aggregate's version.
    pub version: i64,
    /// Last part of its type, such as `ConversationClosed`.
    pub kind: String,
    /// What it says.
    pub fact: Fact,
    /// It was marked as published.
    pub published: bool,
}

/// What an event says, as far as the checker compares it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// A conversation started.
    Started {
        /// Session of the bot in charge, or empty.
        session: String,
        /// Its timeout; 0: none.
        timeout: i64,
        /// When.
        at: i64,
        /// The first owner, as `BOT:id`, or empty.
        owner: String,
    },
    /// A message was posted.
    Message {
        /// Its number.
        sequence: i64,
    },
    /// A comment was posted.
    Comment {
        /// Its number.
        sequence: i64,
    },
    /// The owner changed.
    Assignee {
        /// Epoch after the change.
        epoch: i64,
        /// `KIND:id` or empty.
        from: String,
        /// `KIND:id` or empty.
        to: String,
        /// Session that this ended, or empty.
        ended: String,
    },
    /// The bot handed off.
    HandedOff {
        /// Epoch after the change.
        epoch: i64,
        /// Session that this ended.
        session: String,
    },
    /// A conversation was closed.
    Closed {
        /// Which close.
        number: i64,
        /// `AGENT`, `VISITOR_INACTIVE` or `BOT_COMPLETED`.
        reason: String,
        /// Session that was in charge, or empty.
        session: String,
        /// Number of the closing entry.
        sequence: i64,
        /// When.
        at: i64,
        /// Its transcript is to be mailed by itself, judged by the facts that the event froze (rules T1, T2).
        eligible: bool,
        /// Only if mails to unverified addresses are not past their limit.
        unverified: bool,
    },
    /// A conversation was opened again.
    Reopened {
        /// Epoch after the change.
        epoch: i64,
        /// `AGENT:id`.
        by: String,
    },
    /// A session ended.
    SessionEnded {
        /// The session.
        session: String,
        /// `TIMED_OUT`, …
        outcome: String,
    },
    /// A transcript was decided.
    Decided {
        /// The conversation.
        conversation: String,
        /// Which close.
        number: i64,
    },
    /// A delivery was sent.
    Sent {
        /// The delivery.
        delivery: String,
        /// The conversation, or empty.
        conversation: String,
    },
    /// Anything else.
    #[default]
    Other,
}

/// A message in a stream of the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Streamed {
    /// The stream.
    pub stream: String,
    /// Its number there.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Id of the event.
    pub event: String,
}

/// A durable consumer of the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumerProgress {
    /// Its name.
    pub name: String,
    /// Messages that were not brought to it yet.
    pub pending: u64,
    /// Messages that it has not acknowledged.
    pub unacknowledged: u64,
}

/// A consumer and an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handled {
    /// The consumer.
    pub consumer: String,
    /// The event.
    pub event: String,
}

/// A bot session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its conversation.
    pub conversation: String,
    /// `OPEN`, `TIMED_OUT`, …
    pub status: String,
    /// When it falls due; 0: never.
    pub deadline: i64,
}

/// A stretch of ownership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The conversation.
    pub conversation: String,
    /// Its epoch.
    pub epoch: i64,
    /// `KIND:id`, or empty: nobody.
    pub owner: String,
}

/// A decision about a transcript.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The conversation.
    pub conversation: String,
    /// Which close.
    pub number: i64,
    /// Why none is sent, or empty.
    pub skip: String,
    /// The delivery, or empty.
    pub delivery: String,
}

/// A delivery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: String,
    /// `TRANSCRIPT`, `MANUAL_TRANSCRIPT` or `SENDER_VERIFICATION`.
    pub kind: String,
    /// `QUEUED`, `SENT`, …
    pub state: String,
    /// The conversation, or empty.
    pub conversation: String,
    /// Entries up to this one.
    pub until_sequence: i64,
    /// Message-ID of its mail, or empty.
    pub message_id: String,
    /// Attempts whose outcome nobody knew.
    pub unknown: i64,
}

/// A mail that the sink accepted: the final dot was read and the answer was 250, whether or not that arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// Its Message-ID.
    pub message_id: String,
    /// Its recipient.
    pub recipient: String,
    /// Hash of its bytes.
    pub hash: String,
    /// The plain text in it.
    pub text: String,
    /// All its parts, decoded.
    pub whole: String,
    /// The 250 was handed over.
    pub answered: bool,
    /// When it was accepted, on the driver's clock.
    pub at: u64,
}
