//! A process that ends with the one that started it, and can be killed, paused and waited for by its id.

use std::{
    fs::File,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The shell that watches: it starts the program, tells its id, and kills it when our end of its input is closed, which the
/// kernel does also when we are killed.
const WATCH: &str = r#""$@" </dev/null >&2 & echo $!; exec >/dev/null; read -r _; kill -9 $! 2>/dev/null; wait"#;

/// A running program.
pub struct Supervised {
    watcher: Child,
    pid: Pid,
}

impl Supervised {
    /// Starts a program; its output is added to `log`. `as_user`: run by this user and group id.
    pub async fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        log: &Path,
        as_user: Option<u32>,
    ) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCH, "sh"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(false);
        if let Some(id) = as_user {
            command.uid(id).gid(id);
        }
        let mut watcher = command.spawn().expect("sh");
        let mut lines = BufReader::new(watcher.stdout.take().expect("its output")).lines();
        let line = lines.next_line().await.expect("its output").expect("the id of the process");
        let pid = Pid::from_raw(line.trim().parse().expect("the id of the process")).expect("a process id");
        Self { watcher, pid }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal; a process that is gone does not mind.
    fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        test_kill_process(self.pid).is_ok() && !zombie(self.pid())
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.gone(Duration::from_secs(10)).await;
    }

    /// SIGTERM; gives how long its end took. None: it had not ended after `patience`.
    pub async fn terminate(&self, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        self.signal(Signal::TERM);
        self.gone(patience).await.then(|| began.elapsed())
    }

    /// SIGINT, which some servers take for a fast shutdown.
    pub async fn interrupt(&self, patience: Duration) -> bool {
        self.signal(Signal::INT);
        self.gone(patience).await
    }

    /// SIGSTOP: it stands still, its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    async fn gone(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.runs() {
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.resume();
        // The watcher reads the end of its input and kills.
        drop(self.watcher.stdin.take());
    }
}

/// Removes a folder once we are gone, however we end: what is kept in statics is never dropped.
pub(crate) struct RemovedAfterUs(#[allow(dead_code, reason = "its input is open as long as we are")] Child);

impl RemovedAfterUs {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"read -r _; sleep 1; rm -rf "$1""#, "sh"]).arg(folder).stdin(Stdio::piped());
        Self(command.spawn().expect("sh"))
    }
}

/// Ended, and nobody has asked how.
fn zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
