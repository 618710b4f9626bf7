//! A process that ends with the process that started it, and can be killed, paused and waited for by its id.

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

/// Script of the supervising shell: it starts the program, prints its id, and kills it when the shell's standard input
/// is closed, which the kernel does also when the test process is killed.
const WATCH: &str = r#""$@" </dev/null >&2 & echo $!; exec >/dev/null; read -r _; kill -9 $! 2>/dev/null; wait"#;

/// A running program.
pub struct Supervised {
    watcher: Child,
    pid: Pid,
}

impl Supervised {
    /// Starts a program; its output is appended to `log`. `as_user`: user and group id that it runs with.
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

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal. Does nothing when the process has ended.
    fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Whether the process runs.
    pub fn runs(&self) -> bool {
        test_kill_process(self.pid).is_ok() && !zombie(self.pid())
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.ended(Duration::from_secs(10)).await;
    }

    /// Sends SIGTERM; returns how long the process took to end. None: it had not ended after `timeout`.
    pub async fn terminate(&self, timeout: Duration) -> Option<Duration> {
        let began = Instant::now();
        self.signal(Signal::TERM);
        self.ended(timeout).await.then(|| began.elapsed())
    }

    /// Sends SIGINT, the fast shutdown of some servers. False: the process had not ended after `timeout`.
    pub async fn interrupt(&self, timeout: Duration) -> bool {
        self.signal(Signal::INT);
        self.ended(timeout).await
    }

    /// Sends SIGSTOP: the process stops executing, its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    async fn ended(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
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
        // The supervising shell reads the end of its input and kills the process.
        drop(self.watcher.stdin.take());
    }
}

/// Removes a folder when this process ends, also when it is killed: values in statics are never dropped.
pub(crate) struct RemovedAtExit(
    #[allow(dead_code, reason = "its standard input closes at the end of this process")] Child,
);

impl RemovedAtExit {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"read -r _; sleep 1; rm -rf "$1""#, "sh"]).arg(folder).stdin(Stdio::piped());
        Self(command.spawn().expect("sh"))
    }
}

/// Whether the process has ended and its parent has not collected its status.
fn zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
