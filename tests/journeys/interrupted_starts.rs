//! Kills and stop signals in the middle of a first start and of an upgrade: the next start finds nothing half-made.
//!
//! FRONTDESK_INTERRUPTIONS is the number of interruptions of each test, 15 by default.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use frontdesk_service::Service;
use frontdesk_tests::{Account, Process, binary, new_id};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;
use tokio::process::Command;

fn interruptions() -> u32 {
    std::env::var("FRONTDESK_INTERRUPTIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(15)
}

fn frontdesk(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("FRONTDESK__DATA_FOLDER", folder)
        .env("FRONTDESK__LISTEN", "127.0.0.1:0")
        .env("FRONTDESK__WEB__LISTEN", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts as `serve` does, up to the databases, and ends.
async fn start(folder: &Path) -> Output {
    frontdesk(folder, &["migrate"]).output().await.unwrap()
}

/// Interrupts starts of `serve` on folders that `prepare` makes, each a little later than the one before, then starts again.
/// Returns the folders.
async fn interrupt_starts(prepare: impl AsyncFn(&Path)) -> Vec<tempfile::TempDir> {
    let whole = tempfile::tempdir().unwrap();
    prepare(whole.path()).await;
    let began = Instant::now();
    assert!(start(whole.path()).await.status.success());
    let takes = began.elapsed();

    let mut folders = Vec::new();
    let (number, mut ended_in_order) = (interruptions(), 0);
    for kill in 0..number {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).await;
        let mut child = frontdesk(folder.path(), &["serve"]).spawn().unwrap();
        tokio::time::sleep(takes * (kill + 1) / number).await;
        let signal = if kill % 2 == 0 { "-KILL" } else { "-TERM" };
        let process = child.id().unwrap().to_string();
        Command::new("kill").args([signal, &process]).status().await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").unwrap();
        ended_in_order += usize::from(ended.success());
        let again = start(folder.path()).await;
        let error = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success(), "after {signal} at {kill}/{number} of {takes:?}: {error}");
        folders.push(folder);
    }
    println!("{number} interruptions of a start that takes {takes:?}, {ended_in_order} of them with an orderly end");
    assert!(ended_in_order > 0, "SIGTERM during a start is an orderly end");
    folders
}

#[tokio::test]
async fn i1_a_first_start_that_is_interrupted_can_be_started_again() {
    let folders = interrupt_starts(async |_: &Path| ()).await;
    let folder = folders.last().unwrap().path();
    let process = Process::start(folder, &[]).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    let channel = account.channel(None).await;
    account.start_chat(account.visitor("v"), &channel).await.say("hello").await.unwrap();
}

async fn database(folder: &Path, service: &str) -> DatabaseConnection {
    let file = folder.join(format!("{service}.db"));
    Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await.unwrap()
}

async fn texts(db: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn tables(db: &DatabaseConnection) -> Vec<String> {
    texts(db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 's%ql%' ORDER BY name").await
}

/// The database as the version before the last migration had it, with a row in each table that takes one.
async fn previous_version<S: Service>(folder: &Path) {
    let db = database(folder, S::NAME).await;
    let all = u32::try_from(S::Migrator::migrations().len()).unwrap();
    S::Migrator::up(&db, Some(all - 1)).await.unwrap();
    fill(&db, S::NAME).await;
    db.close().await.unwrap();
}

/// The events of the bus within the process, as the first version kept them. Its migrations are private to the bus.
async fn previous_bus(folder: &Path) {
    let db = database(folder, "bus").await;
    db.execute_unprepared(
        "CREATE TABLE seaql_migrations (version VARCHAR NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL);
        INSERT INTO seaql_migrations VALUES ('bus_001_pending', 0);
        CREATE TABLE pending (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            consumer TEXT NOT NULL,
            event_id BLOB NOT NULL,
            event BLOB NOT NULL,
            attempts INTEGER NOT NULL,
            due_at BIGINT NOT NULL,
            CONSTRAINT pending_once UNIQUE (consumer, event_id)
        );
        CREATE INDEX pending_due ON pending (consumer, due_at)",
    )
    .await
    .unwrap();
    fill(&db, "the bus").await;
    db.close().await.unwrap();
}

/// Adds a row to each table that takes one.
async fn fill(db: &DatabaseConnection, name: &str) {
    db.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    let mut filled = 0;
    for table in tables(db).await {
        // Times in the future: nothing is due, and no row is so old that it is deleted.
        let value = "CASE WHEN name = 'at' OR name LIKE '%#_at' ESCAPE '#' THEN '4102444800000000'
            WHEN upper(type) IN ('INTEGER', 'BIGINT') THEN '1' WHEN upper(type) = 'BLOB' THEN 'x''00''' ELSE '''1''' END";
        let select = |what: &str| format!("SELECT {what} FROM pragma_table_info('{table}')");
        let columns = texts(db, &select("name")).await.join(", ");
        let values = texts(db, &select(value)).await.join(", ");
        let inserted = db.execute_unprepared(&format!("INSERT INTO {table} ({columns}) VALUES ({values})")).await;
        filled += u32::from(inserted.is_ok());
    }
    assert!(filled > 0, "{name} has rows");
}

async fn upgradable(folder: &Path) {
    previous_version::<frontdesk_conversation::App>(folder).await;
    previous_version::<frontdesk_assignment::App>(folder).await;
    previous_version::<frontdesk_bot_session::App>(folder).await;
    previous_version::<frontdesk_notification::App>(folder).await;
    previous_bus(folder).await;
}

/// The number of rows of each table of the databases.
async fn rows(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for service in ["conversation", "assignment", "bot-session", "notification", "bus"] {
        let db = database(folder, service).await;
        for table in tables(&db).await {
            let rows = texts(&db, &format!("SELECT CAST(count(*) AS TEXT) FROM {table}")).await;
            all.push((format!("{service}.{table}"), rows.concat()));
        }
    }
    all
}

#[tokio::test]
async fn i1_an_upgrade_with_data_that_is_interrupted_can_be_started_again() {
    let template = tempfile::tempdir().unwrap();
    upgradable(template.path()).await;
    let copy = async |folder: &Path| {
        for file in std::fs::read_dir(template.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    };
    let before = rows(template.path()).await;
    for folder in interrupt_starts(copy).await {
        let after = rows(folder.path()).await;
        for (table, number) in before.iter().filter(|(_, number)| number != "0") {
            let kept = after.iter().find(|(name, _)| name == table);
            let parsed = |number: &str| number.parse::<u64>().unwrap();
            // A table may be gone, as the new version has its rows elsewhere, or have more.
            assert!(kept.is_none_or(|(_, kept)| parsed(kept) >= parsed(number)), "{table}: {kept:?}");
        }
    }
}

/// The files of a folder that other users can read.
fn open_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let (mut open, mut folders) = (Vec::new(), Vec::new());
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        if metadata.mode() & 0o077 != 0 {
            open.push(entry.path());
        }
        if metadata.is_dir() {
            folders.push(entry.path());
        }
    }
    open.extend(folders.iter().flat_map(|folder| open_files(folder)));
    open
}

#[tokio::test]
async fn s2_other_users_cannot_read_a_data_folder_that_was_there_before() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(start(folder.path()).await.status.success());
    assert_eq!(folder.path().metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(open_files(folder.path()), [] as [PathBuf; 0]);
    assert!(folder.path().join("conversation.db").exists());
}

#[tokio::test]
async fn a_half_made_database_of_an_older_version_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), "conversation").await;
    db.execute_unprepared("CREATE TABLE channels (id TEXT)").await.unwrap();
    db.close().await.unwrap();
    let refused = start(folder.path()).await;
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && error.contains("conversation.db") && error.contains("from a backup"),
        "{error}"
    );
}

#[tokio::test]
async fn no_command_prints_a_password_that_is_part_of_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str], name: &str, value: &str| {
        let output =
            frontdesk(folder.path(), arguments).env(format!("FRONTDESK__{name}"), value).output().await.unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    };
    for (name, address) in [
        ("DATABASES__CONVERSATION__URL", "postgres://u:s3cret#pw@h/d"),
        ("DATABASES__CONVERSATION__URL", "postgress://u:s3cret@h/d"),
        ("DATABASES__CONVERSATION__URL", "postgres://u:s3cret@h/d?sslmode=s3cret"),
        ("DATABASES__CONVERSATION", "postgres://u:s3cret@h/d"),
        ("BUS__URL", "nats://u:s3cret@h"),
        ("PEERS__ASSIGNMENT", "https://u:s3cret@h:1"),
        ("TELEMETRY__OTLP_ENDPOINT", "http://u:s3cret@h h"),
        ("NOTIFICATION__SMTP__HOST", "smtp://u:s3cret@h"),
    ] {
        for command in ["config", "migrate", "serve"] {
            // With the other addresses and the bus this process starts; it would not end.
            if command == "serve" && !name.starts_with("TELEMETRY") {
                continue;
            }
            let printed = run(&[command], name, address).await;
            assert!(!printed.contains("s3cret") && !printed.is_empty(), "{command} {name}={address}: {printed}");
        }
    }
    let config = run(&["config"], "DATABASES__CONVERSATION__URL", "postgres://u:s3cret@db.example:5432/d").await;
    assert!(config.contains("postgres://(hidden)@db.example:5432/d"), "{config}");
    assert!(config.starts_with("# Time zones are those of release 20"), "{config}");
}

#[tokio::test]
async fn a_moved_clock_is_refused_where_the_development_key_is_not_accepted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clock-offset"), "3600000000").unwrap();
    let refused = frontdesk(folder.path(), &["migrate"])
        .env("FRONTDESK__IDENTITY__DEVELOPMENT_KEY", "false")
        .env("FRONTDESK__IDENTITY__SECRET", "an installation secret for tests, 32 bytes or more")
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("clock-offset") && error.contains("AdvanceTime"), "{error}");
}

#[tokio::test]
async fn an_argument_that_is_wrong_is_refused_with_what_it_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let account = "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c";
    for (arguments, remedy) in [
        (["token", "--account", "acme"].as_slice(), "must be a UUID"),
        (&["audit", "--account", "acme"], "must be a UUID"),
        (
            &["audit", "--account", account, "--since", "yesterday"],
            "a duration with a unit, such as 90m, 24h or 30days",
        ),
        (&["token", "--valid", "12"], "a duration with a unit, such as 90m, 24h or 30days"),
        (&["dead-letters", "replay", "notification"], "frontdesk dead-letters replay <SERVICE> --all"),
        (&["token", "--kind", "visitor", "--email", "not an address"], "is not an address that mail can go to"),
        (&["token", "--kind", "bot", "--subject", "Robin"], "must be a UUID for a bot"),
        (&["demo", "--address", "http://127.0.0.1:1"], "no server answers at http://127.0.0.1:1"),
    ] {
        let refused = frontdesk(folder.path(), arguments).output().await.unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && error.contains(remedy), "{error}");
    }
}

#[tokio::test]
async fn commands_that_read_a_servers_folder_create_nothing_where_there_is_none() {
    let parent = tempfile::tempdir().unwrap();
    let (empty, absent) = (parent.path().join("empty"), parent.path().join("absent"));
    std::fs::create_dir(&empty).unwrap();
    for arguments in [
        ["token"].as_slice(),
        &["audit", "--account", "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c"],
        &["dead-letters", "list"],
        &["dead-letters", "replay", "conversation", "--all"],
    ] {
        for folder in [&empty, &absent] {
            let refused = frontdesk(folder, arguments).output().await.unwrap();
            let error = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && error.contains("data_folder, --config"), "{arguments:?}: {error}");
            assert!(refused.stdout.is_empty(), "{arguments:?}");
        }
        assert!(!absent.exists() && std::fs::read_dir(&empty).unwrap().next().is_none(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, error) in [
        ("FRONTDESK__NOTIFICATION__MAX_ATTEMPTS", "0", "notification.max_attempts = 0: it must be from 1 to 1000"),
        ("FRONTDESK__NOTIFICATION__SMTP__TLS", "ssl", "it must be starttls, implicit or none"),
        ("FRONTDESK__LIMITS", "", "limits = \"\" (FRONTDESK__LIMITS): it is a section"),
        ("FRONTDESK__LIMITS__CONNECTIONS", "-1", "it must be a whole number of at least 0"),
        ("FRONTDESK__DATA_FOLDER", "", "data_folder = \"\" (FRONTDESK__DATA_FOLDER): it must be a path"),
    ] {
        let refused = frontdesk(folder.path(), &["migrate"]).env(name, value).output().await.unwrap();
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && text.contains(error), "{name}: {text}");
    }
    let ignored = frontdesk(folder.path(), &["config"]).env("FRONTDESK_LISTEN", "127.0.0.1:1").output().await.unwrap();
    let warning = String::from_utf8_lossy(&ignored.stderr);
    assert!(ignored.status.success() && warning.contains("did you mean FRONTDESK__LISTEN"), "{warning}");
}
