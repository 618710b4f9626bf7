//! nats-server with JetStream.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Supervised, fetched, free_port, listens, supervised::RemovedAfterUs};

/// Older ones have known faults in what they keep.
const AT_LEAST: (u32, u32) = (2, 12);

/// A NATS server with a store of its own.
pub struct Nats {
    /// Its port on the loopback address.
    pub port: u16,
    folder: TempDir,
    _removed: RemovedAfterUs,
    process: Option<Supervised>,
}

impl Nats {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is no nats-server; the text says how to get one.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let _removed = RemovedAfterUs::new(folder.path());
        let mut server = Self { port: free_port(), folder, _removed, process: None };
        server.restart().await;
        server
    }

    /// Starts it again on the same port and store, and waits until it accepts connections.
    pub async fn restart(&mut self) {
        let config = self.folder.path().join("nats.conf");
        let store = self.folder.path().join("store");
        // Streams are refused when what they may hold one day does not fit; left alone the server counts three quarters of the
        // free disk, and whether the tests pass would hang on that.
        let text = format!("jetstream {{ store_dir: {:?}, max_file_store: 64GB }}\n", store.display());
        std::fs::write(&config, text).expect("a configuration");
        let arguments = ["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--config"];
        let arguments = [arguments.as_slice(), &[config.to_str().expect("a path")]].concat();
        self.process = Some(Supervised::start(&program(), &arguments, &[], &self.log(), None).await);
        let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
        assert!(listens(self.port).await, "nats-server does not listen: {}", log());
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The process, while it was not killed.
    pub fn process(&self) -> &Supervised {
        self.process.as_ref().expect("a running nats-server")
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Forgets everything that it kept, as after the loss of its disk. Only while it is not running.
    pub fn lose_store(&self) {
        assert!(self.process.is_none(), "kill it first");
        std::fs::remove_dir_all(self.folder.path().join("store")).expect("the store");
    }
}

/// Where nats-server is.
fn program() -> PathBuf {
    let named = std::env::var_os("FRONTDESK_TEST_NATS_SERVER").map(PathBuf::from);
    let candidates = named.into_iter().chain([fetched("bin/nats-server"), PathBuf::from("nats-server")]);
    let mut seen = Vec::new();
    for candidate in candidates {
        match version(&candidate) {
            Some(version) if version >= AT_LEAST => return candidate,
            Some((major, minor)) => seen.push(format!("{} is {major}.{minor}", candidate.display())),
            None => seen.push(format!("{} is not there", candidate.display())),
        }
    }
    panic!(
        "no nats-server of version {}.{} or later: {}. `make servers` fetches one; or name yours in FRONTDESK_TEST_NATS_SERVER",
        AT_LEAST.0,
        AT_LEAST.1,
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
