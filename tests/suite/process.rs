//! A suite as a process, which a test can kill at any moment and restart on the same data.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::development::clock_from_file;
use tokio::process::{Child, Command};

/// A `frontdesk serve all` process and its data folder.
pub struct Process {
    /// Address that it listens on.
    pub listen: SocketAddr,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    max_descriptors: Option<u32>,
    child: Option<Child>,
}

impl Process {
    /// Starts a process on a free port. `environment` is added to its environment.
    pub async fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_as(folder, environment, None).await
    }

    /// Starts a process that may open at most `max_descriptors` file descriptors.
    pub async fn start_with_descriptors(folder: &Path, environment: &[(&str, &str)], max_descriptors: u32) -> Self {
        Self::start_as(folder, environment, Some(max_descriptors)).await
    }

    async fn start_as(folder: &Path, environment: &[(&str, &str)], max_descriptors: Option<u32>) -> Self {
        let free = std::net::SocketAddr::from(([127, 0, 0, 1], frontdesk_test_servers::free_port()));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut process = Self { listen: free, folder: folder.to_owned(), environment, max_descriptors, child: None };
        process.restart().await;
        process
    }

    /// Starts the process again on the same port and data, and waits until it listens.
    pub async fn restart(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = match self.max_descriptors {
            None => Command::new(binary()),
            Some(max) => {
                // The shell executes the binary in its own process, so the process id stays that of the child.
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &max.to_string()]).arg(binary());
                shell
            }
        };
        let child = command
            .args(["serve", "all"])
            .env("FRONTDESK__LISTEN", self.listen.to_string())
            .env("FRONTDESK__DATA_FOLDER", &self.folder)
            // Tests that call as browsers do set a free port.
            .env("FRONTDESK__WEB__LISTEN", "")
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary target/debug/frontdesk: run `make build` first");
        self.child = Some(child);
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(self.listen).await.is_ok() && self.folder.join("development.key").exists()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the process does not listen: {}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    /// Address for clients.
    pub fn address(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Process id.
    ///
    /// # Panics
    /// When the process does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("a running process")
    }

    /// The development key of its data folder.
    pub fn keys(&self) -> DevelopmentKey {
        let clock = clock_from_file(&self.folder.join("clock-offset")).expect("a clock");
        DevelopmentKey::load_or_create(&self.folder.join("development.key"), &clock).expect("a key")
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("a kill");
        }
    }

    /// Sends SIGTERM; returns how long the process took to end, and whether its exit status was success.
    pub async fn terminate(&mut self) -> (Duration, bool) {
        let Some(mut child) = self.child.take() else { return (Duration::ZERO, true) };
        let began = std::time::Instant::now();
        let id = child.id().expect("a running process").to_string();
        Command::new("kill").args(["-TERM", &id]).status().await.expect("kill");
        let status = tokio::time::timeout(Duration::from_secs(30), child.wait())
            .await
            .expect("the end of the process within 30 s")
            .expect("a status");
        (began.elapsed(), status.success())
    }
}

/// The binary that cargo built beside this test.
///
/// # Panics
/// When the path of this test is unknown.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/debug").join("frontdesk")
}
