//! The upgrade of a data folder. A process with the older binary makes data under a workload and is killed. Copies of its folder are
//! upgraded by `frontdesk migrate` of the present binary, which is killed at random moments until it ends by itself: each copy then has the
//! rows that it has after an upgrade without kills. The present binary serves the last copy, where every acknowledged call must be found.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::process::Command;

use super::{
    Failure, Row, Verdict,
    embedded::Embedded,
    tables::{self, Tables, changed, count, differing, removed},
};
use crate::{
    checker::{Evidence, check},
    cluster::binary,
    final_state::read_logs,
    history::Recorder,
    mail_sink::MailSink,
    rows::{AGENTS, Size},
    workload::{Account, AccountKind, Script, run_chats},
};

/// Number of chats that are played at once.
const CONCURRENT: usize = 8;

/// Maximum number of kills of one upgrade; after them it runs to its end.
const MAX_KILLS: usize = 30;

/// How long an upgrade may take that is not killed.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(120);

/// An upgrade by `frontdesk migrate` of the present binary.
struct Upgrade<'a> {
    embedded: &'a Embedded,
    binary: &'a Path,
    log: &'a Path,
}

pub(super) async fn run(size: Size, seed: u64, older: &Path, folder: &Path) -> Result<(Row, Verdict), Failure> {
    let (messages, copies) = (size.pick(100, 1_000, 10_000), size.pick(3, 30, 100));
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs)?;
    let (present, began) = (binary()?, Instant::now());
    let mail_sink = MailSink::start(&folder.join("mails.jsonl"), began).await?;
    let recorder = Recorder::create(&folder.join("history.jsonl"), began)?;
    let made = tempfile::tempdir()?;
    let mut embedded = Embedded::new(made.path(), &logs.join("frontdesk.log"), &mail_sink);
    let left_out = embedded.leave_out_unknown_settings(older)?;
    if !left_out.is_empty() {
        println!("  the older binary does not know {}", left_out.join(", "));
    }

    embedded.start(older).await?;
    let driver = embedded.driver(recorder.clone())?;
    let account = Account::create(&driver, &mail_sink, AccountKind::WithMail, AGENTS).await?;
    let (accounts, continues) = ([account.clone()], |acknowledged: usize| acknowledged < messages);
    let acknowledged = run_chats(&driver, &accounts, Script::default(), CONCURRENT, continues, None, seed).await;
    embedded.kill().await;

    let log = logs.join("migrate.log");
    let upgrade = Upgrade { embedded: &embedded, binary: &present, log: &log };
    let (row, served) = upgrade.run_copies(made.path(), copies, seed).await?;
    embedded.use_folder(served.path());
    embedded.start(&present).await?;
    let mut state = embedded.finish(&present, &driver, &account).await?;
    state.mails = mail_sink.mails();
    read_logs(&logs, &mut state)?;
    std::fs::write(folder.join("final.json"), serde_json::to_vec(&state)?)?;
    let verdict = check(Evidence { history: &recorder.finish(), faults: &[], state: &state, max_lateness: None });
    let row = row.with("acknowledged", acknowledged).with("violations", verdict.total());
    Ok((row, verdict))
}

fn judge(before: &Tables, expected: &Tables, different: &[String], kills: usize) -> Row {
    let removed = removed(before, expected);
    let lost: usize = removed.values().sum();
    let migrations = differing(before, expected).iter().filter(|table| table.ends_with(".seaql_migrations")).count();
    Row::new(lost, lost == 0 && different.is_empty() && kills > 0)
        .with("unit", "rows that the upgrade removed")
        .with("kills", kills)
        .with("rows_before", count(before))
        .with("rows_after", count(expected))
        .with("removed_by_table", serde_json::json!(removed))
        .with("changed_by_table", serde_json::json!(changed(before, expected)))
        .with("databases_with_migrations", migrations)
        .with("tables_that_kills_made_different", different.to_vec())
}

impl Upgrade<'_> {
    /// Upgrades copies of a folder with kills. Returns the row, and the last copy.
    async fn run_copies(&self, made: &Path, copies: usize, seed: u64) -> Result<(Row, tempfile::TempDir), Failure> {
        let before = tables::read(copy_of(made).await?.path()).await?;
        let whole = copy_of(made).await?;
        let began = Instant::now();
        if !self.ends(whole.path(), UPGRADE_TIMEOUT).await? {
            return Err("an upgrade without kills did not end".into());
        }
        let takes = began.elapsed();
        let expected = tables::read(whole.path()).await?;

        let mut last = whole;
        let (mut random, mut kills, mut different) = (StdRng::seed_from_u64(seed), 0, Vec::new());
        for number in 1..=copies {
            last = copy_of(made).await?;
            kills += self.run_with_kills(last.path(), takes, &mut random).await?;
            for table in differing(&expected, &tables::read(last.path()).await?) {
                different.push(format!("copy {number}: {table}"));
            }
        }
        let row = judge(&before, &expected, &different, kills)
            .with("copies", copies)
            .with("upgrade_seconds", takes.as_secs_f64());
        Ok((row, last))
    }

    /// Upgrades a folder, kills the process at random moments of an upgrade that takes about `takes`, and starts it again until it ends
    /// by itself. Returns the number of kills.
    async fn run_with_kills(&self, folder: &Path, takes: Duration, random: &mut StdRng) -> Result<usize, Failure> {
        for kills in 0..MAX_KILLS {
            let limit = takes.mul_f64(random.random_range(0.0..1.1));
            if self.ends(folder, limit).await? {
                return Ok(kills);
            }
        }
        match self.ends(folder, UPGRADE_TIMEOUT).await? {
            true => Ok(MAX_KILLS),
            false => Err(format!("an upgrade did not end after {MAX_KILLS} kills").into()),
        }
    }

    /// Upgrades a folder. False: the process had not ended after `limit`, and was killed.
    async fn ends(&self, folder: &Path, limit: Duration) -> Result<bool, Failure> {
        let mut child = Command::new(self.binary)
            .arg("migrate")
            .envs(self.embedded.environment(folder))
            .stdout(Stdio::null())
            .stderr(std::fs::File::options().create(true).append(true).open(self.log)?)
            .kill_on_drop(true)
            .spawn()?;
        let Ok(ended) = tokio::time::timeout(limit, child.wait()).await else {
            child.kill().await?;
            return Ok(false);
        };
        match ended?.success() {
            true => Ok(true),
            false => Err(format!("frontdesk migrate failed; its log is {}", self.log.display()).into()),
        }
    }
}

/// A copy of a data folder that no process uses.
async fn copy_of(folder: &Path) -> Result<tempfile::TempDir, Failure> {
    let copy = tempfile::tempdir()?;
    let copied = Command::new("cp").arg("-a").arg(folder.join(".")).arg(copy.path()).status().await?;
    if !copied.success() {
        return Err(format!("{} was not copied", folder.display()).into());
    }
    Ok(copy)
}
