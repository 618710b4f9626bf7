//! A suite as a process of its own, which can be killed at any moment and started again on the same data.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::Clock;
use tokio::process::{Child, Command};

/// The process and where it keeps its data.
pub struct Process {
    /// Where it listens.
    pub listen: SocketAddr,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
    child: Option<Child>,
}

impl Process {
    /// Starts one on a free port. `environment` is added to its environment.
    pub async fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_as(folder, environment, None).await
    }

    /// The same, with at most so many descriptors open at once.
    pub async fn start_with_descriptors(folder: &Path, environment: &[(&str, &str)], at_most: u32) -> Self {
        Self::start_as(folder, environment, Some(at_most)).await
    }

    async fn start_as(folder: &Path, environment: &[(&str, &str)], descriptors: Option<u32>) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut process = Self { listen: free, folder: folder.to_owned(), environment, descriptors, child: None };
        process.start_again().await;
        process
    }

    /// Starts it again on the same port and data, and waits until it listens.
    pub async fn start_again(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = match self.descriptors {
            None => Command::new(binary()),
            Some(at_most) => {
                // The process of the shell becomes the binary's: its id is the one to ask the kernel about.
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &at_most.to_string()]).arg(binary());
                shell
            }
        };
        let child = command
            .args(["serve", "all"])
            .env("FRONTDESK__LISTEN", self.listen.to_string())
            .env("FRONTDESK__DATA_FOLDER", &self.folder)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary; build the workspace first");
        self.child = Some(child);
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(self.listen).await.is_ok() && self.folder.join("development.key").exists()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not listen: {}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    /// Its address for clients.
    pub fn address(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Its id, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("a running process")
    }

    /// Its key.
    pub fn keys(&self) -> DevelopmentKey {
        let clock = frontdesk_clock::development::clock_from_file(&self.folder.join("clock-offset")).expect("a clock");
        DevelopmentKey::load_or_create(&self.folder.join("development.key"), &clock).expect("a key")
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("a kill");
        }
    }

    /// SIGTERM; gives how long the end took and whether it was clean.
    pub async fn terminate(&mut self) -> (Duration, bool) {
        let Some(mut child) = self.child.take() else { return (Duration::ZERO, true) };
        let began = std::time::Instant::now();
        let id = child.id().expect("a running process").to_string();
        Command::new("kill").args(["-TERM", &id]).status().await.expect("kill");
        let status = tokio::time::timeout(Duration::from_secs(30), child.wait())
            .await
            .expect("an end within 30 s")
            .expect("a status");
        (began.elapsed(), status.success())
    }
}

/// The binary that the workspace built, beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/debug").join("frontdesk")
}
