//! The process under attack, and what the kernel reports about it.

use std::{path::PathBuf, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_tests::{Account, Process, new_id};

/// Unit of processor times in `/proc`.
const TICK: Duration = Duration::from_millis(10);

/// A suite as a process, with a data folder of its own.
pub struct Target {
    pub process: Process,
    folder: tempfile::TempDir,
}

impl Target {
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(folder.path(), environment).await;
        Self { process, folder }
    }

    /// Starts a process that may open at most `max_descriptors` file descriptors.
    pub async fn start_with_descriptors(max_descriptors: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start_with_descriptors(folder.path(), &[], max_descriptors).await;
        Self { process, folder }
    }

    /// A new account with a connection of its own.
    pub async fn account(&self) -> Account {
        Account::open(&self.process.address(), &self.process.keys(), new_id()).await
    }

    /// Value of the header `authorization` for an administrator.
    pub fn bearer(&self, account: AccountId) -> String {
        self.bearer_of(account, CallerKind::Admin, "administrator")
    }

    /// Value of the header `authorization` for a caller of this kind.
    pub fn bearer_of(&self, account: AccountId, kind: CallerKind, subject: &str) -> String {
        let keys = self.process.keys();
        let claims = keys.claims(account, kind, subject, Duration::from_secs(3600));
        format!("Bearer {}", keys.mint(&claims).unwrap())
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.process.pid()).into()
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Processor time since its start.
    pub fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        // The fields after the name: the state is the first, user and system time are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |field: usize| fields[field].parse::<u32>().unwrap();
        TICK * (ticks(11) + ticks(12))
    }

    /// Number of open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Lines of its log that report a panic or an internal error, and the number of all lines.
    pub fn faults(&self) -> (Vec<String>, usize) {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        let ours = |line: &&str| ["panicked at", "internal error", "INTERNAL"].iter().any(|word| line.contains(word));
        (log.lines().filter(ours).map(str::to_owned).collect(), log.lines().count())
    }
}
