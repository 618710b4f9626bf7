//! The baseline of P1 and P1a: pgbench changes the same rows, with one statement per message.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use frontdesk_bench::messages::CONVERSATIONS;
use frontdesk_test_servers::Postgres;
use tempfile::TempDir;

use crate::{
    deployment::BASELINE_DATABASE,
    fixture::{ACCOUNT, AGENT, sample_content, sample_event},
    load::LoadResult,
};

/// The three row changes of a post in one statement: the conversation's row, the entry, the outbox row.
fn script() -> String {
    let mut event = String::new();
    for byte in sample_event() {
        let _ = write!(event, "{byte:02x}");
    }
    let content = sample_content().replace('\'', "''");
    let last = 100_000_000_000 + CONVERSATIONS - 1;
    let statement = format!(
        "WITH conversation AS (
            UPDATE conversations SET last_sequence = last_sequence + 1, last_visitor_sequence = last_visitor_sequence + 1,
                last_activity_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, version = version + 1
            WHERE id = ('00000000-0000-7000-8000-' || :conversation::text)::uuid AND account_id = '{ACCOUNT}'
                AND status = 'OPEN'
            RETURNING id, account_id, last_sequence, last_visitor_sequence, last_activity_at, version
        ), entry AS (
            INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                created_at)
            SELECT id, last_sequence, last_visitor_sequence, account_id, 'AGENT', '{AGENT}', '{content}', last_activity_at
            FROM conversation
        )
        INSERT INTO outbox_events (event_id, account_id, aggregate_id, version, event, created_at, published_at)
        SELECT gen_random_uuid(), account_id, id, version, '\\x{event}', last_activity_at, last_activity_at FROM conversation;"
    );
    format!("\\set conversation random(100000000000, {last})\n{}\n", statement.replace('\n', " "))
}

/// pgbench with its script, in a folder that the operating system user of the server may write to.
pub struct Pgbench {
    folder: TempDir,
    script: PathBuf,
}

impl Pgbench {
    /// Writes the script.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let file = folder.path().join("post.sql");
        fs::write(&file, script()).unwrap();
        Self { folder, script: file }
    }

    /// Messages per second.
    pub async fn rate(&self, postgres: &Postgres, clients: u32, length: Duration) -> f64 {
        let output = self.run(postgres, clients, length, &[]).await;
        let line = output.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap_or_else(|| panic!("{output}"));
        line.split(' ').next().unwrap().parse().unwrap()
    }

    /// The latency of every message, with one client.
    pub async fn latencies(&self, postgres: &Postgres, length: Duration) -> LoadResult {
        let prefix = self.folder.path().join("latencies");
        self.run(postgres, 1, length, &["--log", "--log-prefix", prefix.to_str().unwrap()]).await;
        let mut latencies = Vec::new();
        for file in fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()) {
            if file.file_name().unwrap().to_string_lossy().starts_with("latencies") {
                // The fields of a line: client, number, microseconds, script, time.
                for line in fs::read_to_string(&file).unwrap().lines() {
                    latencies.push(line.split(' ').nth(2).unwrap().parse::<u64>().unwrap() * 1_000);
                }
                fs::remove_file(file).unwrap();
            }
        }
        LoadResult::new(length, latencies)
    }

    async fn run(&self, postgres: &Postgres, clients: u32, length: Duration, more: &[&str]) -> String {
        let mut pgbench = postgres.program("pgbench");
        let threads = clients.min(2).to_string();
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--client", &clients.to_string(), "--jobs", &threads]);
        pgbench.args(["--time", &length.as_secs().max(1).to_string(), "--file"]).arg(&self.script).args(more);
        pgbench.args([
            "--host=127.0.0.1",
            "--username=frontdesk",
            "--port",
            &postgres.port.to_string(),
            BASELINE_DATABASE,
        ]);
        let output = tokio::task::spawn_blocking(move || pgbench.output()).await.unwrap().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
