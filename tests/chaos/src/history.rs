//! The history of a run: what was asked and what was answered, one JSON line each, stamped by the one clock of the driver.
//!
//! An *operation* is what a caller wants, with one request id; it may take several *attempts*. `fail` is written only where
//! certainly nothing happened; what timed out, was cut or was not available is `unknown`.

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

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An attempt begins.
    Invoke,
    /// It was answered.
    Ok,
    /// It was refused: certainly nothing happened.
    Fail,
    /// Nobody knows whether anything happened, or when it will.
    Unknown,
    /// A watcher was brought something.
    Seen,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Number of the line, from 0.
    pub n: u64,
    /// Nanoseconds since the run began.
    pub at: u64,
    /// What the line tells.
    pub kind: Kind,
    /// The operation; the lines of a watch share one too.
    pub op: u64,
    /// Which attempt of the operation, from 1; which watch of a watcher.
    pub attempt: u32,
    /// The method, as the proto names it.
    pub call: String,
    /// Account of the caller.
    pub account: String,
    /// The caller, `kind:id`.
    pub actor: String,
    /// The conversation, where the caller knows it.
    pub key: String,
    /// The operation's request id; empty: it has none.
    pub request_id: String,
    /// What was asked (in `invoke`).
    pub given: Value,
    /// What was answered (in `ok` and `seen`).
    pub answer: Value,
    /// The gRPC code.
    pub code: String,
    /// The reason of a refusal; empty where the transport, not a service, made the status.
    pub reason: String,
}

/// The parts of a line that its operation decides.
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

/// Writes the history. Clones write the same one.
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
    /// A new history in this file, with a clock that began at `began`.
    pub fn create(file: &Path, began: Instant) -> std::io::Result<Self> {
        let written = Written { file: BufWriter::new(File::create(file)?), records: Vec::new() };
        Ok(Self(Arc::new(Inner { began, ops: AtomicU64::new(1), written: Mutex::new(written) })))
    }

    /// The driver's clock.
    pub fn now(&self) -> u64 {
        nanos(self.0.began.elapsed())
    }

    /// A number for an operation.
    pub fn next_op(&self) -> u64 {
        self.0.ops.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a line.
    pub fn write(&self, of: &Operation, attempt: u32, kind: Kind, tells: Tells) {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.now();
        written.add(at, of, attempt, kind, tells);
    }

    /// Writes a line about something that happened at this moment of the driver's clock: for loads that are too fast to be
    /// written down meanwhile. Nothing else may be written between the moment and now.
    pub fn write_at(&self, at: u64, of: &Operation, kind: Kind, tells: Tells) {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner).add(at, of, 1, kind, tells);
    }

    /// Everything so far, also on disk.
    pub fn finish(&self) -> Vec<Record> {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.file.flush().expect("the history is written");
        written.records.clone()
    }
}

impl Written {
    fn add(&mut self, at: u64, of: &Operation, attempt: u32, kind: Kind, tells: Tells) {
        let record = Record {
            n: self.records.len() as u64,
            at,
            kind,
            op: of.op,
            attempt,
            call: of.call.clone(),
            account: of.account.clone(),
            actor: of.actor.clone(),
            key: of.key.clone(),
            request_id: of.request_id.clone(),
            given: tells.given,
            answer: tells.answer,
            code: tells.code,
            reason: tells.reason,
        };
        // A full disk must not pass for a clean history.
        serde_json::to_writer(&mut self.file, &record).expect("the history is written");
        self.file.write_all(b"\n").expect("the history is written");
        self.records.push(record);
    }
}

/// The parts of a line that differ between the lines of an operation.
#[derive(Clone, Debug, Default)]
pub struct Tells {
    /// See [`Record::given`].
    pub given: Value,
    /// See [`Record::answer`].
    pub answer: Value,
    /// See [`Record::code`].
    pub code: String,
    /// See [`Record::reason`].
    pub reason: String,
}

/// Reads a history that was kept.
pub fn load(file: &Path) -> std::io::Result<Vec<Record>> {
    BufReader::new(File::open(file)?)
        .lines()
        .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::other))
        .collect()
}

/// A fault that was made, on the driver's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRecord {
    /// What was done, such as `kill`.
    pub fault: String,
    /// To what, such as `conversation-1` or `postgres`.
    pub target: String,
    /// When it began, nanoseconds since the run began.
    pub from: u64,
    /// When it was healed.
    pub to: u64,
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&file, Instant::now()).unwrap();
        let op = Operation { op: recorder.next_op(), call: "SendMessage".into(), ..Operation::default() };
        recorder.write(&op, 1, Kind::Invoke, Tells { given: serde_json::json!({"text": "a"}), ..Tells::default() });
        recorder.write(&op, 1, Kind::Unknown, Tells { code: "UNAVAILABLE".into(), ..Tells::default() });
        let written = recorder.finish();
        let read = load(&file).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].given["text"], "a");
        assert_eq!((read[1].kind, read[1].n, read[1].code.as_str()), (Kind::Unknown, 1, "UNAVAILABLE"));
        assert!(written[0].at <= written[1].at);
    }
}
