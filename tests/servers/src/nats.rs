//! nats-server with JetStream.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Supervised, fetched, free_port, listens, supervised::RemovedAtExit};

/// Oldest supported version: older ones are known to lose data.
const MIN_VERSION: (u32, u32) = (2, 12);

/// A NATS server with a store of its own.
pub struct Nats {
    /// Port on the loopback address.
    pub port: u16,
    folder: TempDir,
    /// Configuration of the cluster or of the users; empty for a single server that anyone may use.
    config: String,
    environment: Vec<(String, String)>,
    _removed: RemovedAtExit,
    process: Option<Supervised>,
}

impl Nats {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// When no nats-server is found; the message says how to get one.
    pub async fn start() -> Self {
        let mut server = Self::new(free_port(), String::new());
        server.restart().await;
        server
    }

    /// Starts a server with the users of `accounts.conf` in this folder, whose passwords are in `environment`.
    pub async fn start_with_users(folder: &Path, environment: &[(String, String)]) -> Self {
        // A path in a configuration is relative to its file.
        let mut server = Self::new(free_port(), "include \"users/accounts.conf\"\n".into());
        copy_folder(folder, &server.folder.path().join("users"));
        server.environment = environment.to_vec();
        server.restart().await;
        server
    }

    /// Starts a cluster of three servers. It takes requests once the servers have elected a leader.
    pub async fn start_cluster() -> [Self; 3] {
        let routes = [(); 3].map(|()| free_port());
        let all = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
        let mut servers = routes.map(|port| {
            let listen = format!("cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{all}] }}\n");
            Self::new(free_port(), format!("server_name: n{port}\n{listen}"))
        });
        for server in &mut servers {
            server.restart().await;
        }
        servers
    }

    fn new(port: u16, config: String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let _removed = RemovedAtExit::new(folder.path());
        Self { port, folder, config, environment: Vec::new(), _removed, process: None }
    }

    /// Starts the server again on the same port and store, and waits until it accepts connections.
    pub async fn restart(&mut self) {
        let config = self.folder.path().join("nats.conf");
        let store = self.folder.path().join("store");
        // The server refuses streams whose maximum size does not fit into its limit. The default limit depends on the
        // free disk, and with it the result of tests would.
        let text = format!("jetstream {{ store_dir: {:?}, max_file_store: 64GB }}\n{}", store.display(), self.config);
        std::fs::write(&config, text).expect("a configuration");
        let arguments = ["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--config"];
        let arguments = [arguments.as_slice(), &[config.to_str().expect("a path")]].concat();
        self.process = Some(Supervised::start(&program(), &arguments, &self.environment, &self.log(), None).await);
        let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
        assert!(listens(self.port).await, "nats-server does not listen: {}", log());
    }

    /// Name of the server in its cluster.
    pub fn name(&self) -> Option<&str> {
        self.config.lines().next()?.strip_prefix("server_name: ")
    }

    /// Address for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Path of the log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The process.
    ///
    /// # Panics
    /// When it was killed and not restarted.
    pub fn process(&self) -> &Supervised {
        self.process.as_ref().expect("a running nats-server")
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Deletes the store, as after the loss of a disk.
    ///
    /// # Panics
    /// When the server runs.
    pub fn lose_store(&self) {
        assert!(self.process.is_none(), "the server runs: kill it first");
        std::fs::remove_dir_all(self.folder.path().join("store")).expect("the store");
    }

    /// Copies the store into a folder, which it empties first.
    ///
    /// # Panics
    /// When the server runs.
    pub fn copy_store(&self, to: &Path) {
        assert!(self.process.is_none(), "the server runs: kill it first");
        copy_folder(&self.folder.path().join("store"), to);
    }

    /// Replaces the store by a copy, as after a power cut under a disk that had not written everything.
    ///
    /// # Panics
    /// When the server runs.
    pub fn restore_store(&self, from: &Path) {
        assert!(self.process.is_none(), "the server runs: kill it first");
        copy_folder(from, &self.folder.path().join("store"));
    }

    /// Replaces the messages of the streams by those of a copy of the store. What the consumers received stays, and may be
    /// newer than the messages.
    ///
    /// # Panics
    /// When the server runs.
    pub fn restore_messages(&self, from: &Path) {
        assert!(self.process.is_none(), "the server runs: kill it first");
        copy_messages(from, &self.folder.path().join("store"));
    }
}

/// Replaces the messages of each stream below `to`; the files of its consumers stay.
fn copy_messages(from: &Path, to: &Path) {
    if from.ends_with("msgs") {
        return copy_folder(from, to);
    }
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            copy_messages(&entry, &to.join(entry.file_name().expect("a name")));
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().expect("cp");
    assert!(copied.success(), "{} was not copied", from.display());
}

/// Path of the nats-server program.
fn program() -> PathBuf {
    let named = std::env::var_os("FRONTDESK_TEST_NATS_SERVER").map(PathBuf::from);
    let candidates = named.into_iter().chain([fetched("bin/nats-server"), PathBuf::from("nats-server")]);
    let mut seen = Vec::new();
    for candidate in candidates {
        match version(&candidate) {
            Some(version) if version >= MIN_VERSION => return candidate,
            Some((major, minor)) => seen.push(format!("{} is {major}.{minor}", candidate.display())),
            None => seen.push(format!("{} does not exist", candidate.display())),
        }
    }
    panic!(
        "no nats-server of version {}.{} or later: {}. `make servers` fetches one; or name yours in FRONTDESK_TEST_NATS_SERVER",
        MIN_VERSION.0,
        MIN_VERSION.1,
        seen.join(", ")
    )
}

/// `nats-server: v2.15.1`
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
