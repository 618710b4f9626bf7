//! Exim, a full mail server, as the distribution has it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Supervised, free_port, listens, postgres::user};

/// An Exim that runs from a folder of its own, without root's rights. It takes mail for every address on a loopback port, over
/// STARTTLS and with the password only, refuses what breaks RFC 5322, and delivers into a Maildir.
pub struct Exim {
    /// Port on the loopback address.
    pub port: u16,
    // Dropped in this order: the server ends before its folder is removed.
    _process: Supervised,
    folder: TempDir,
}

/// A user of [`Exim`].
pub struct EximUser<'a> {
    /// Name that it authenticates with: letters and digits.
    pub name: &'a str,
    /// Its password: letters and digits.
    pub password: &'a str,
}

impl Exim {
    /// Starts a server with a certificate for `localhost` and its key, in PEM.
    ///
    /// # Panics
    /// When no Exim is found, or it does not start; the message says what to do.
    pub async fn start(certificate: &str, key: &str, login: &EximUser<'_>) -> Self {
        let (program, folder, port) = (program(), tempfile::tempdir().expect("a folder"), free_port());
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("certificate.pem"), certificate).expect("a file");
        std::fs::write(path("key.pem"), key).expect("a file");
        let group = user().unwrap_or_else(|| rustix::process::getegid().as_raw());
        let id = user().unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let macros = format!(
            "TEST_FOLDER = {}\nTEST_UID = {id}\nTEST_GID = {group}\nTEST_USER = {}\nTEST_PASSWORD = {}\n",
            folder.path().display(),
            login.name,
            login.password
        );
        std::fs::write(path("exim.conf"), macros + include_str!("exim.conf")).expect("a file");
        if user().is_some() {
            std::os::unix::fs::chown(folder.path(), user(), user()).expect("a folder of the user nobody");
        }
        let (config, listen, log) = (path("exim.conf").display().to_string(), format!("127.0.0.1.{port}"), path("log"));
        let arguments = ["-C", &config, "-bdf", "-oX", &listen];
        let process = Supervised::start(&program, &arguments, &[], &log, user()).await;
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while process.runs() && std::time::Instant::now() < until {
            if listens(port).await {
                return Self { port, _process: process, folder };
            }
        }
        let logs = ["log", "mainlog", "paniclog"].map(|name| std::fs::read_to_string(path(name)).unwrap_or_default());
        panic!("{} does not start: {}", program.display(), logs.join("\n"));
    }

    /// The mails in the Maildir, as the server wrote them: with `Return-path`, `Envelope-to` and `Received` before their headers.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("a mail")).collect()
    }

    /// What the server has logged: connections, refusals, deliveries.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mainlog")).unwrap_or_default()
    }
}

/// The program that the environment names, or that is installed.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("FRONTDESK_TEST_EXIM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Ordinary users do not have the last folder in their PATH.
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let mut candidates = folders.flat_map(|folder| ["exim4", "exim"].map(|name| folder.join(name)));
    candidates.find(|path| path.exists()).expect(
        "no Exim: on Debian, apt-get install exim4-daemon-light; or name your exim in FRONTDESK_TEST_EXIM, or leave the test out \
         with FRONTDESK_TEST_SKIP=mail-server",
    )
}
