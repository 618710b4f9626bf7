//! `frontdesk` processes, and baseline servers beside them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use frontdesk_test_servers::{NO_LIMITS_OF_CALLERS, Supervised, free_port, leave_out_unknown_settings};

/// Environment variables: names and values.
pub type Environment = Vec<(String, String)>;

/// Number of times that a started process is looked at until it listens, and the interval between two looks.
const START_POLLS: (u32, Duration) = (1_500, Duration::from_millis(20));

/// A `frontdesk` binary.
#[derive(Clone)]
pub struct Binary {
    path: PathBuf,
    /// Names of environment variables that this build does not know.
    unknown: Vec<String>,
}

/// A running server.
pub struct Process {
    /// Its address for clients.
    pub address: String,
    process: Supervised,
}

impl Binary {
    /// The binary beside this program.
    pub fn beside_this_program() -> Self {
        let program = std::env::current_exe().unwrap();
        Self::new(program.parent().unwrap().join("frontdesk"))
    }

    /// The binary at this path.
    pub fn new(path: PathBuf) -> Self {
        assert!(path.is_file(), "{} does not exist: build it with the same profile as this program", path.display());
        Self { path, unknown: Vec::new() }
    }

    /// Finds the environment variables that this build does not know, so that a build of another commit starts although its
    /// settings differ.
    pub fn drop_unknown_settings(&mut self, environment: &Environment) {
        let unknown = leave_out_unknown_settings(&self.path, &mut self.known(environment)).unwrap();
        if !unknown.is_empty() {
            println!("{} does not know {}: left out", self.path.display(), unknown.join(", "));
        }
        self.unknown.extend(unknown);
    }

    fn known(&self, environment: &Environment) -> Environment {
        environment.iter().filter(|(name, _)| !self.unknown.contains(name)).cloned().collect()
    }

    /// Runs `frontdesk migrate`.
    pub fn migrate(&self, environment: &Environment) {
        let mut migrate = Command::new(&self.path);
        migrate.arg("migrate").envs(self.known(environment)).stdout(Stdio::null());
        let output = migrate.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} migrate: {error}", self.path.display());
    }

    /// Starts `frontdesk serve <target>` on a free port, with its log in `folder`.
    pub async fn serve(&self, target: &str, folder: &Path, environment: &Environment) -> Process {
        self.serve_on(target, free_port(), folder, environment).await
    }

    /// Starts `frontdesk serve <target>` on this port.
    pub async fn serve_on(&self, target: &str, port: u16, folder: &Path, environment: &Environment) -> Process {
        let mut environment = environment.clone();
        environment.push(("FRONTDESK__LISTEN".into(), format!("127.0.0.1:{port}")));
        let environment = self.known(&environment);
        Process::start(&self.path, &["serve", target], port, &folder.join("log"), &environment).await
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Ends it with SIGKILL.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// Starts the baseline server, as a process of its own as Frontdesk is one.
    pub async fn baseline(folder: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let arguments = [&["baseline", "--listen", &listen], arguments].concat();
        let program = std::env::current_exe().unwrap();
        Self::start(&program, &arguments, port, &folder.join("baseline.log"), &Environment::new()).await
    }

    /// Starts the mail sink on this port.
    pub async fn mail_sink(folder: &Path, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let program = std::env::current_exe().unwrap();
        let arguments = ["sink", "--listen", &listen];
        Self::start(&program, &arguments, port, &folder.join("sink.log"), &Environment::new()).await
    }

    async fn start(program: &Path, arguments: &[&str], port: u16, log: &Path, environment: &Environment) -> Self {
        let process = Supervised::start(program, arguments, environment, log, None).await;
        let (polls, interval) = START_POLLS;
        for _ in 0..polls {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { address: format!("http://127.0.0.1:{port}"), process };
            }
            if !process.runs() {
                break;
            }
            tokio::time::sleep(interval).await;
        }
        panic!("{} {arguments:?} does not listen: {}", program.display(), std::fs::read_to_string(log).unwrap());
    }
}

/// The settings of every `frontdesk` process of the benchmark: no limits of callers, and few log lines.
pub fn common_environment(data_folder: &Path) -> Environment {
    let mut environment = vec![
        ("FRONTDESK__DATA_FOLDER".into(), data_folder.display().to_string()),
        ("FRONTDESK__TELEMETRY__LOG".into(), "warn".into()),
        // Two processes may run at once, and none serves browsers.
        ("FRONTDESK__WEB__LISTEN".into(), String::new()),
    ];
    environment.extend(NO_LIMITS_OF_CALLERS.map(|(name, value)| (name.into(), value.into())));
    environment
}
