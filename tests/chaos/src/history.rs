//! The history of a run: calls and responses, one JSON line each, with the time of the driver's clock.
//!
//! An *operation* is one thing that a caller wants, with one request id; it may take several *attempts*. `fail` means that the
//! call certainly had no effect; a call that timed out, lost its connection or was answered UNAVAILABLE is `unknown`.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An attempt begins.
    Invoke,
    /// An attempt was acknowledged.
    Ok,
    /// An attempt was refused, certainly without effect.
    Fail,
    /// The outcome of an attempt is unknown: it may have taken effect, or may do so later.
    Unknown,
    /// A watcher received something.
    Received,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Number of the record, from 0.
    pub n: u64,
    /// Nanoseconds since the run began.
    pub at: u64,
    /// Kind of the record.
    pub kind: Kind,
    /// Number of the operation. All records of a watcher share one.
    pub op: u64,
    /// Number of the operation's attempt, or of the watcher's stream, from 1.
    pub attempt: u32,
    /// Name of the method in the proto.
    pub call: String,
    /// Id of the caller's account.
    pub account: String,
    /// The caller as `kind:id`.
    pub actor: String,
    /// Id of the conversation; empty while the caller does not know it.
    pub key: String,
    /// Request id of the operation; empty if it has none.
    pub request_id: String,
    /// Summary of the request (in `invoke`).
    pub arguments: Value,
    /// Summary of the response (in `ok` and `received`).
    pub response: Value,
    /// The gRPC status code.
    pub code: String,
    /// Reason of the error; empty where the transport, not a service, made the status.
    pub reason: String,
}

/// The fields of a record that are the same for all records of an operation.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// See [`Record::op`].
    pub op: u64,
    /// See [`Record::call`].
    pub call: String,
    /// See [`Record::account`].
    pub account: String,
    /// See [`Record::actor`].
    pub actor: String,
    /// See [`Record::key`].
    pub key: String,
    /// See [`Record::request_id`].
    pub request_id: String,
}

/// Writes the history. Clones write the same history.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    began: Instant,
    ops: AtomicU64,
    written: Mutex<Written>,
}

struct Written {
    file: BufWriter<File>,
    records: Vec<Record>,
}

impl Recorder {
    /// Creates a history in this file, with a clock that is zero at `began`.
    pub fn create(file: &Path, began: Instant) -> std::io::Result<Self> {
        let written = Written { file: BufWriter::new(File::create(file)?), records: Vec::new() };
        Ok(Self(Arc::new(Inner { began, ops: AtomicU64::new(1), written: Mutex::new(written) })))
    }

    /// Time of the driver's clock, in nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        nanos(self.0.began.elapsed())
    }

    /// A new number for an operation.
    pub fn next_op(&self) -> u64 {
        self.0.ops.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a record with the current time.
    pub fn write(&self, operation: &Operation, attempt: u32, kind: Kind, details: Details) {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.now();
        written.add(at, operation, attempt, kind, details);
    }

    /// Writes a record with an earlier time, for loads that are too fast to be recorded while they run. The caller must not
    /// write any other record between that time and now.
    pub fn write_at(&self, at: u64, operation: &Operation, kind: Kind, details: Details) {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner).add(at, operation, 1, kind, details);
    }

    /// All records so far, also flushed to the file.
    pub fn finish(&self) -> Vec<Record> {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.file.flush().expect("the history is written");
        written.records.clone()
    }
}

impl Written {
    fn add(&mut self, at: u64, operation: &Operation, attempt: u32, kind: Kind, details: Details) {
        let record = Record {
            n: self.records.len() as u64,
            at,
            kind,
            op: operation.op,
            attempt,
            call: operation.call.clone(),
            account: operation.account.clone(),
            actor: operation.actor.clone(),
            key: operation.key.clone(),
            request_id: operation.request_id.clone(),
            arguments: details.arguments,
            response: details.response,
            code: details.code,
            reason: details.reason,
        };
        // A full disk must end the run: a truncated history would look clean.
        serde_json::to_writer(&mut self.file, &record).expect("the history is written");
        self.file.write_all(b"\n").expect("the history is written");
        self.records.push(record);
    }
}

/// The fields of a record that differ between the records of an operation.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// See [`Record::arguments`].
    pub arguments: Value,
    /// See [`Record::response`].
    pub response: Value,
    /// See [`Record::code`].
    pub code: String,
    /// See [`Record::reason`].
    pub reason: String,
}

/// Reads a history from a file.
pub fn load(file: &Path) -> std::io::Result<Vec<Record>> {
    BufReader::new(File::open(file)?)
        .lines()
        .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::other))
        .collect()
}

/// The fault that a broker is restarted with an older store, so that it lost events.
pub const RESTORE_OLDER_STORE: &str = "restore-older-store";

/// A fault that was injected. Times are nanoseconds of the driver's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Name of the fault, for example `kill`.
    pub fault: String,
    /// What it was injected into, for example `conversation-1` or `postgres`.
    pub target: String,
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&file, Instant::now()).unwrap();
        let op = Operation { op: recorder.next_op(), call: "SendMessage".into(), ..Operation::default() };
        recorder.write(
            &op,
            1,
            Kind::Invoke,
            Details { arguments: serde_json::json!({"text": "a"}), ..Details::default() },
        );
        recorder.write(&op, 1, Kind::Unknown, Details { code: "UNAVAILABLE".into(), ..Details::default() });
        let written = recorder.finish();
        let read = load(&file).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].arguments["text"], "a");
        assert_eq!((read[1].kind, read[1].n, read[1].code.as_str()), (Kind::Unknown, 1, "UNAVAILABLE"));
        assert!(written[0].at <= written[1].at);
    }
}
