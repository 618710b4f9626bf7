//! `frontdesk` processes, and bare servers of our own beside them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use frontdesk_test_servers::{NO_LIMITS_OF_CALLERS, Supervised, free_port};

/// A running server.
pub struct Process {
    /// Its address for clients.
    pub address: String,
    _process: Supervised,
}

/// `frontdesk`, beside this program.
fn frontdesk() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let binary = ours.parent().unwrap().join("frontdesk");
    assert!(binary.exists(), "{} is not there: build it with the same profile", binary.display());
    binary
}

impl Process {
    /// `frontdesk serve <target>` on a free port; its log is in `folder`.
    pub async fn serve(target: &str, folder: &Path, environment: &[(String, String)]) -> Self {
        Self::serve_on(target, free_port(), folder, environment).await
    }

    /// The same on this port.
    pub async fn serve_on(target: &str, port: u16, folder: &Path, environment: &[(String, String)]) -> Self {
        let mut environment = environment.to_vec();
        environment.push(("FRONTDESK__LISTEN".into(), format!("127.0.0.1:{port}")));
        environment.extend(NO_LIMITS_OF_CALLERS.map(|(name, value)| (name.into(), value.into())));
        Self::start(&frontdesk(), &["serve", target], port, &folder.join("log"), &environment).await
    }

    /// The bare server, as a process of its own as the service is one.
    pub async fn bare(folder: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let arguments = [&["bare", "--listen", &listen], arguments].concat();
        Self::start(&std::env::current_exe().unwrap(), &arguments, port, &folder.join("bare.log"), &[]).await
    }

    async fn start(
        program: &Path,
        arguments: &[&str],
        port: u16,
        log: &Path,
        environment: &[(String, String)],
    ) -> Self {
        let process = Supervised::start(program, arguments, environment, log, None).await;
        for _ in 0..1_500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { address: format!("http://127.0.0.1:{port}"), _process: process };
            }
            if !process.runs() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} {arguments:?} does not listen: {}", program.display(), std::fs::read_to_string(log).unwrap());
    }
}

/// `frontdesk migrate`.
pub fn migrate(environment: &[(String, String)]) {
    let mut migrate = Command::new(frontdesk());
    migrate.arg("migrate").envs(environment.iter().map(|(name, value)| (name, value)));
    let migrated = migrate.stdout(Stdio::null()).output().unwrap();
    assert!(migrated.status.success(), "frontdesk migrate: {}", String::from_utf8_lossy(&migrated.stderr));
}
