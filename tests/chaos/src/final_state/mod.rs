//! The final state: what the databases, the broker, the mail sink and the logs hold after all faults have ended and the
//! installation is quiescent. The checker compares the history with it. Plain data, so that tests can plant faults in it.

mod event;
mod read;
mod routing;

pub use read::{Databases, last_events, last_numbers, read, read_databases, read_logs, read_objects, sent_attachments};
pub use routing::{Change, Changed, FirstStep, LOG, NO_LOG, OwnerRow, QueueState, Queued, Routing};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::CallCounts;

/// The final state. Times are microseconds of the databases' clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FinalState {
    /// The databases' clock when the state was read.
    pub now: i64,
    /// Rows of conversations.
    pub conversations: Vec<Conversation>,
    /// Entries, ordered by conversation and sequence.
    pub entries: Vec<Entry>,
    /// Events in the outboxes, in their order.
    pub events: Vec<Event>,
    /// Messages in the streams of the broker, in their order.
    pub stream: Vec<StreamMessage>,
    /// What readers of public events received.
    pub readers: Vec<Reader>,
    /// Progress of the broker's durable consumers.
    pub consumers: Vec<ConsumerProgress>,
    /// Handled marks.
    pub handled: Vec<Handled>,
    /// Dead letters.
    pub dead_letters: Vec<Handled>,
    /// Bot sessions in the database of the bot-session service.
    pub sessions: Vec<Session>,
    /// Assignments in the database of the assignment service.
    pub assignments: Vec<Assignment>,
    /// What the assignment service knows of conversations that wait.
    pub routing: Routing,
    /// Transcript decisions.
    pub decisions: Vec<Decision>,
    /// Deliveries.
    pub deliveries: Vec<Delivery>,
    /// Mails that the sink accepted, in their order.
    pub mails: Vec<Mail>,
    /// Rows of attachments.
    pub attachments: Vec<Attachment>,
    /// Files in the folder of attachments, without those that are still being written.
    pub objects: Vec<Object>,
    /// SHA-256 of the bytes that a download of an attachment gave, by its id; empty: it cannot be downloaded.
    pub downloads: BTreeMap<String, String>,
    /// Log lines that report a panic, as `file: line`.
    pub panics: Vec<String>,
    /// Log lines that contain a canary, as `file: line`.
    pub leaks: Vec<String>,
    /// Canary by account id.
    pub canaries: BTreeMap<String, String>,
    /// All texts that bots of the workload send.
    pub bot_texts: Vec<String>,
    /// Number of calls that the replicas counted in their metrics since the row began, by method and status code. Empty: a replica was
    /// started meanwhile, and what it had counted is lost.
    pub calls: CallCounts,
}

/// A row of `conversations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Id of the conversation.
    pub id: String,
    /// Id of its account.
    pub account: String,
    /// `OPEN` or `CLOSED`.
    pub status: String,
    /// Owner as `AGENT:id` or `BOT:id`; empty: unassigned.
    pub assignee: String,
    /// Ownership epoch.
    pub epoch: i64,
    /// Id of the bot session in charge, or empty.
    pub session_in_charge: String,
    /// Inactivity timeout in microseconds; 0: none.
    pub timeout: i64,
    /// Sequence of the newest entry.
    pub last_sequence: i64,
    /// Visitor sequence of the newest entry that the visitor sees.
    pub last_visitor_sequence: i64,
    /// Number of times that it was closed.
    pub close_number: i64,
    /// Time of the visitor's last activity.
    pub last_visitor_activity: i64,
}

/// An entry of a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the conversation.
    pub conversation: String,
    /// Sequence in the thread.
    pub sequence: i64,
    /// Sequence among the entries that the visitor sees; 0: not visible to the visitor.
    pub visitor_sequence: i64,
    /// `VISITOR`, `AGENT`, `BOT` or `SYSTEM`.
    pub author_kind: String,
    /// Id of the author.
    pub author: String,
    /// `message`, `comment`, `closed`, `reopened`, …
    pub kind: String,
    /// Text of a message or comment.
    pub text: String,
    /// Ids of the attachments of a message.
    pub attachments: Vec<String>,
    /// Time of creation.
    pub at: i64,
}

/// An event in an outbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the service that published it.
    pub source: String,
    /// Id of the event.
    pub id: String,
    /// Id of the account.
    pub account: String,
    /// Id of the aggregate.
    pub aggregate: String,
    /// Version of the aggregate.
    pub version: i64,
    /// Last part of the type, for example `ConversationClosed`.
    pub kind: String,
    /// When it was recorded.
    pub at: i64,
    /// The fields that the checker compares.
    pub fact: Fact,
    /// Whether the event is marked as published.
    pub published: bool,
}

/// The fields of an event that the checker compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// A conversation started.
    Started {
        /// Id of the bot session in charge, or empty.
        session: String,
        /// Inactivity timeout in microseconds; 0: none.
        timeout: i64,
        /// Time of the start.
        at: i64,
        /// First owner as `BOT:id`, or empty.
        owner: String,
        /// Id of the routing policy by which it waits, or empty.
        policy: String,
    },
    /// A message was posted.
    Message {
        /// Sequence of the entry.
        sequence: i64,
    },
    /// A comment was posted.
    Comment {
        /// Sequence of the entry.
        sequence: i64,
    },
    /// The owner changed.
    Assignee {
        /// Epoch after the change.
        epoch: i64,
        /// Previous owner as `KIND:id`, or empty.
        from: String,
        /// New owner as `KIND:id`, or empty.
        to: String,
        /// Id of the bot session that the change ended, or empty.
        ended: String,
        /// `BY_HAND`, `ROUTED`, …
        cause: String,
    },
    /// A bot handed the conversation off.
    HandedOff {
        /// Epoch after the change.
        epoch: i64,
        /// Id of the bot session that the hand-off ended.
        session: String,
        /// Id of the agent that the bot named, or empty.
        agent: String,
    },
    /// A conversation was closed.
    Closed {
        /// Close number.
        number: i64,
        /// `AGENT`, `VISITOR_INACTIVE` or `BOT_COMPLETED`.
        reason: String,
        /// Id of the bot session that was in charge, or empty.
        session: String,
        /// Sequence of the closing entry.
        sequence: i64,
        /// Time of the close.
        at: i64,
        /// Whether the transcript is mailed automatically, by the facts in the event (rules T1, T2).
        eligible: bool,
        /// Whether the address is unverified, so that the limit of such mails applies.
        unverified: bool,
    },
    /// A conversation was reopened.
    Reopened {
        /// Epoch after the change.
        epoch: i64,
        /// The agent as `AGENT:id`.
        by: String,
        /// Whether its channel has routing.
        routed: bool,
    },
    /// A bot session ended.
    SessionEnded {
        /// Id of the session.
        session: String,
        /// `TIMED_OUT`, …
        outcome: String,
    },
    /// A transcript decision was made.
    Decided {
        /// Id of the conversation.
        conversation: String,
        /// Close number.
        number: i64,
    },
    /// A delivery was sent.
    Sent {
        /// Id of the delivery.
        delivery: String,
        /// Id of the conversation, or empty.
        conversation: String,
    },
    /// Any other event.
    #[default]
    Other,
}

/// A message in a stream of the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamMessage {
    /// Name of the stream.
    pub stream: String,
    /// Sequence in the stream.
    pub sequence: u64,
    /// Subject of the message.
    pub subject: String,
    /// Id of the event.
    pub event: String,
}

/// What a reader of public events received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// How it gets the events: `nats`, `grpc` or `webhook`.
    pub name: String,
    /// Id of the account whose events it reads.
    pub account: String,
    /// When it began: it gets the events that were recorded from then on. 0: all.
    pub since: i64,
    /// The first receipt of each event.
    pub received: Vec<Receipt>,
    /// Number of times that it received an event again.
    pub repeats: u64,
    /// What it could not take: a request without a valid signature, for example.
    pub failures: Vec<String>,
}

impl Reader {
    /// Whether an event is for this reader.
    pub fn expects(&self, event: &Event) -> bool {
        event.account == self.account && event.at >= self.since
    }
}

/// An event that a reader received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Id of the event.
    pub event: String,
    /// Account that the event names.
    pub account: String,
    /// Place in the order that is promised to the reader: over NATS the sequence in the stream, else the number of the arrival.
    pub place: u64,
    /// When it was received first.
    pub at: i64,
}

/// A durable consumer of the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumerProgress {
    /// Name of the consumer.
    pub name: String,
    /// Number of messages that were not delivered yet.
    pub pending: u64,
    /// Number of messages that were delivered and not acknowledged.
    pub unacknowledged: u64,
}

/// A handled mark or a dead letter: a consumer and an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handled {
    /// Name of the consumer.
    pub consumer: String,
    /// Id of the event.
    pub event: String,
}

/// A bot session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Id of the session.
    pub id: String,
    /// Id of the conversation.
    pub conversation: String,
    /// `OPEN`, `TIMED_OUT`, …
    pub status: String,
    /// Time of its inactivity timeout; 0: none.
    pub deadline: i64,
    /// Id of the step where it waits; empty: none.
    pub step: String,
}

/// An assignment: one owner of a conversation for one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Id of the conversation.
    pub conversation: String,
    /// Ownership epoch.
    pub epoch: i64,
    /// Owner as `KIND:id`; empty: unassigned.
    pub owner: String,
}

/// A transcript decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Id of the conversation.
    pub conversation: String,
    /// Close number.
    pub number: i64,
    /// Why no transcript is sent, or empty.
    pub skip: String,
    /// Id of the delivery, or empty.
    pub delivery: String,
}

/// A delivery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Id of the delivery.
    pub id: String,
    /// Id of the account.
    pub account: String,
    /// `TRANSCRIPT`, `MANUAL_TRANSCRIPT` or `SENDER_VERIFICATION`.
    pub kind: String,
    /// `QUEUED`, `SENT`, …
    pub state: String,
    /// Id of the conversation, or empty.
    pub conversation: String,
    /// Sequence of the last entry that the transcript covers.
    pub until_sequence: i64,
    /// Message-ID of the mail, or empty.
    pub message_id: String,
    /// Number of attempts with an unknown outcome.
    pub unknown: i64,
}

/// A row of `attachments`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// Id of the attachment.
    pub id: String,
    /// Id of the conversation that it was uploaded for.
    pub conversation: String,
    /// `PENDING`, `READY`, `REFUSED` or `REMOVING`.
    pub status: String,
    /// Size in bytes.
    pub size: i64,
    /// SHA-256 in hexadecimal digits, or empty.
    pub sha256: String,
    /// Id of the object that has its bytes, or empty.
    pub object: String,
    /// Whether it was sent.
    pub sent: bool,
    /// When it is removed; 0: never.
    pub collect_at: i64,
}

/// A file in the folder of attachments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Id of the attachment that it was written for.
    pub attachment: String,
    /// Its own id.
    pub id: String,
    /// Size in bytes.
    pub size: i64,
}

/// A mail that the sink accepted: it read the final dot. Whether the reply 250 reached the client is another matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// Message-ID.
    pub message_id: String,
    /// Address of the recipient.
    pub recipient: String,
    /// SHA-256 of the bytes.
    pub hash: String,
    /// Plain text part.
    pub text: String,
    /// Subject, plain text part and HTML part, decoded.
    pub whole: String,
    /// Whether the reply 250 was sent.
    pub answered: bool,
    /// Time of acceptance, in nanoseconds of the driver's clock.
    pub at: u64,
}
