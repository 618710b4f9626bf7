//! The rows of the scorecard. Each has a history and accounts of its own; all share one installation.

mod r10_racing_starts;
mod r11_one_mail_per_close;
mod r12_routing;
mod r13_redelivered_events;
mod r14_recovery_after_restart;
mod r15_broker_outage;
mod r16_rolling_restart;
mod r17_overload;
mod r18_hung_mail_server;
mod r1_kill_every_process;
mod r22_events_to_readers;
mod r2_kill_points;
mod r3_cancelled_calls;
mod r4_older_store_of_the_broker;
mod r5_watchers_across_restarts;
mod r8_timeouts_with_failing_replicas;
mod r9_races_at_the_timeout;
mod steady_load;
mod upgrade;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use frontdesk_auth::CallerKind;
use futures::future::BoxFuture;

use crate::{
    checker::{Evidence, Verdict, check},
    cluster::{Cluster, Counted, Failure, KEEP_UNSENT, Service},
    driver::{Caller, Driver},
    faults::FaultLog,
    final_state::{self, Databases, FinalState},
    history::Recorder,
    quiescence::{is_quiescent, wait_until_quiescent},
    readers::Readers,
    report::{Report, Row},
    workload::{Account, AccountKind, Watchers},
};

/// Number of agents of each account.
const AGENTS: usize = 4;
/// How long watchers may take to receive the last entry of their conversation once the installation is quiescent.
const WATCHERS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long readers of public events may take to receive all of them once the installation is quiescent. Claims of killed replicas end, and
/// receivers that were down get what waits.
const READERS_TIMEOUT: Duration = Duration::from_secs(300);

/// Maximum number of attempts to read the final state while no timeout is in progress, and the pause between two.
const MAX_READS: usize = 100;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Maximum number of attempts to advance the clock: a call may fail because its replica has just restarted.
const MAX_ADVANCES: usize = 5;

/// Size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// About 1 % of the scorecard's sizes.
    Smoke,
    /// About 10 %.
    Short,
    /// The scorecard's sizes.
    Full,
}

impl Size {
    /// Name of the size on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Short => "short",
            Self::Full => "full",
        }
    }

    /// The value for this size.
    pub fn pick<T>(self, smoke: T, short: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// A run of some rows.
pub struct Run {
    size: Size,
    seed: u64,
    /// The installation; absent before the first row and after a row that failed with an error.
    cluster: Option<Cluster>,
    folder: PathBuf,
    installations: usize,
    report: Report,
}

/// What a row works with.
pub struct Context {
    /// The installation.
    pub cluster: Cluster,
    /// Connections to its databases.
    pub databases: Databases,
    /// The driver of its API.
    pub driver: Driver,
    /// The accounts of the row.
    pub accounts: Vec<Account>,
    /// The log of faults that the row injects.
    pub log: FaultLog,
    /// Size of the run.
    pub size: Size,
    /// Seed of the row.
    pub seed: u64,
    /// Folder for the files of the row.
    pub folder: PathBuf,
    admin: Caller,
    /// What the replicas had counted when the row began.
    counted_before: Counted,
}

/// How a row is finished and checked.
#[derive(Clone, Copy)]
pub struct FinishOptions<'a> {
    /// The watchers of the row.
    pub watchers: Option<&'a Watchers>,
    /// The readers of public events of the row.
    pub readers: Option<&'a Readers>,
    /// See [`Evidence::max_lateness`].
    pub max_lateness: Option<i64>,
    /// Whether the clock is advanced while deliveries wait for their next attempt.
    pub advance_clock: bool,
    /// How long the installation may take to become quiescent.
    pub timeout: Duration,
}

impl Default for FinishOptions<'_> {
    fn default() -> Self {
        Self {
            watchers: None,
            readers: None,
            max_lateness: None,
            advance_clock: true,
            timeout: Duration::from_secs(150),
        }
    }
}

type RunRow = for<'a> fn(&'a mut Context) -> BoxFuture<'a, Result<(Row, Verdict), Failure>>;

struct RowDefinition {
    name: &'static str,
    /// Number of accounts.
    accounts: usize,
    kind: AccountKind,
    /// Whether the row is part of the smoke size.
    in_smoke: bool,
    run: RunRow,
}

impl RowDefinition {
    const fn new(name: &'static str, accounts: usize, kind: AccountKind, in_smoke: bool, run: RunRow) -> Self {
        Self { name, accounts, kind, in_smoke, run }
    }
}

/// The rows in their order. R13 is not among them: it needs no installation.
const ROWS: &[RowDefinition] = {
    use AccountKind::{WithMail, WithoutMail};
    &[
        RowDefinition::new("R1", 2, WithMail, true, |context| Box::pin(r1_kill_every_process::run(context))),
        RowDefinition::new("R2", 2, WithMail, true, |context| Box::pin(r2_kill_points::run(context))),
        RowDefinition::new("R3", 1, WithoutMail, true, |context| Box::pin(r3_cancelled_calls::run(context))),
        RowDefinition::new("R4", 2, WithMail, true, |context| Box::pin(r4_older_store_of_the_broker::run(context))),
        RowDefinition::new("R5", 1, WithoutMail, true, |context| Box::pin(r5_watchers_across_restarts::run(context))),
        RowDefinition::new("R9", 1, WithoutMail, true, |context| Box::pin(r9_races_at_the_timeout::run(context))),
        RowDefinition::new("R10", 1, WithoutMail, true, |context| Box::pin(r10_racing_starts::run(context))),
        RowDefinition::new("R8", 1, WithoutMail, false, |context| {
            Box::pin(r8_timeouts_with_failing_replicas::run(context))
        }),
        RowDefinition::new("R11", 2, WithMail, true, |context| Box::pin(r11_one_mail_per_close::run(context))),
        RowDefinition::new("R12", 1, WithoutMail, true, |context| Box::pin(r12_routing::run(context))),
        RowDefinition::new("R14", 1, WithoutMail, false, |context| Box::pin(r14_recovery_after_restart::run(context))),
        RowDefinition::new("R15", 1, WithoutMail, false, |context| Box::pin(r15_broker_outage::run(context))),
        RowDefinition::new("R16", 1, WithoutMail, false, |context| Box::pin(r16_rolling_restart::run(context))),
        RowDefinition::new("R17", 1, WithoutMail, false, |context| Box::pin(r17_overload::run(context))),
        RowDefinition::new("R18", 2, WithMail, false, |context| Box::pin(r18_hung_mail_server::run(context))),
        RowDefinition::new("R22", 2, WithMail, false, |context| Box::pin(r22_events_to_readers::run(context))),
    ]
};

impl Run {
    /// A run that writes its files into `folder`.
    pub fn new(size: Size, seed: u64, folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let report = Report { size: size.name().to_owned(), seed, ..Report::default() };
        Ok(Self { size, seed, cluster: None, folder: folder.to_owned(), installations: 0, report })
    }

    /// Runs the rows of the size, or only those in `only`.
    pub async fn run(mut self, only: &[String]) -> Report {
        let size = self.size;
        let is_selected = |name: &str, in_smoke: bool| match only {
            [] => in_smoke || size != Size::Smoke,
            only => only.iter().any(|one| one.eq_ignore_ascii_case(name)),
        };
        for row in ROWS.iter().filter(|row| is_selected(row.name, row.in_smoke)) {
            println!("{} …", row.name);
            let began = Instant::now();
            let result = self.run_row(row).await;
            self.add_to_report(row.name, began, result);
        }
        if is_selected("R13", false) {
            println!("R13 …");
            let began = Instant::now();
            let result = r13_redelivered_events::run(self.size, self.seed, &self.folder).await;
            self.add_to_report("R13", began, result.map(|row| (row, Verdict::default())));
        }
        self.report
    }

    fn add_to_report(&mut self, name: &str, began: Instant, result: Result<(Row, Verdict), Failure>) {
        let row = match result {
            Ok((row, verdict)) => {
                print_violations(&verdict);
                self.report.add(&verdict);
                row
            }
            Err(error) => Row::new(error.to_string(), false),
        };
        let row = row.with("seconds", began.elapsed().as_secs());
        println!("{name}: {} {}", if row.pass { "pass" } else { "FAIL" }, serde_json::json!(row));
        self.report.rows.insert(name.to_owned(), row);
    }

    async fn run_row(&mut self, row: &RowDefinition) -> Result<(Row, Verdict), Failure> {
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => {
                self.installations += 1;
                let folder = self.folder.join(format!("installation-{}", self.installations));
                Cluster::start(&folder, self.seed).await?
            }
        };
        let mut context = Context::prepare(cluster, row, self.size, self.seed, &self.folder.join(row.name)).await?;
        let result = (row.run)(&mut context).await;
        context.cluster.copy_server_logs();
        context.driver.recorder.finish();
        context.log.write(&context.folder.join("faults.jsonl"))?;
        // After an error the installation may be broken, so that the next row gets a new one.
        if result.is_ok() {
            self.cluster = Some(context.cluster);
        }
        result
    }
}

impl Context {
    async fn prepare(
        cluster: Cluster,
        row: &RowDefinition,
        size: Size,
        seed: u64,
        folder: &Path,
    ) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let counted_before = cluster.counted().await?;
        let recorder = Recorder::create(&folder.join("history.jsonl"), cluster.began)?;
        let driver = Driver::new(&cluster, recorder.clone())?;
        let databases = Databases::connect(&cluster).await?;
        let mut accounts = Vec::new();
        for _ in 0..row.accounts {
            accounts.push(Account::create(&driver, &cluster.mail_sink, row.kind, AGENTS).await?);
        }
        let seed = row.name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let admin = driver.caller(accounts[0].id, CallerKind::Admin, "administrator", |_| {});
        let log = FaultLog::new(&recorder);
        let folder = folder.to_owned();
        Ok(Self { cluster, databases, driver, accounts, log, size, seed, folder, admin, counted_before })
    }

    /// Advances the installation's clock; returns its new time in microseconds.
    pub async fn advance(&self, by: Duration) -> Result<i64, Failure> {
        Ok(self.driver.advance(&self.admin, by).await.ok_or("AdvanceTime was not acknowledged")?)
    }

    /// Ends all faults, and advances the clock until all attachments that were not sent are due.
    pub async fn make_unsent_due(&mut self) -> Result<(), Failure> {
        self.cluster.heal().await?;
        for _ in 1..MAX_ADVANCES {
            if self.advance(2 * KEEP_UNSENT).await.is_ok() {
                return Ok(());
            }
        }
        self.advance(2 * KEEP_UNSENT).await.map(drop)
    }

    /// Ends all faults, waits for quiescence, reads the final state and checks every rule.
    pub async fn finish(&mut self, options: FinishOptions<'_>) -> Result<(Verdict, FinalState), Failure> {
        self.cluster.heal().await?;
        let admin = options.advance_clock.then_some(&self.admin);
        let quiescent =
            wait_until_quiescent(&self.cluster, &self.databases, &self.driver, admin, options.timeout).await;
        if let Some(watchers) = options.watchers {
            let last = final_state::last_numbers(&self.databases, &self.accounts).await?;
            let last_of = |id: &str| last.get(id).copied().unwrap_or_default();
            watchers.finish(last_of, WATCHERS_TIMEOUT).await;
        }
        let downloads = self.download_sent().await?;
        let mut state = FinalState { downloads, ..self.final_state().await? };
        if let Some(readers) = options.readers {
            state.readers = readers.finish(&state.events, READERS_TIMEOUT).await;
        }
        state.calls = self.cluster.counted().await?.since(&self.counted_before);
        std::fs::write(self.folder.join("final.json"), serde_json::to_vec(&state)?)?;
        let history = self.driver.recorder.finish();
        let faults = self.log.all();
        let max_lateness = options.max_lateness;
        let mut verdict = check(Evidence { history: &history, faults: &faults, state: &state, max_lateness });
        if let Err(error) = quiescent {
            // The rules are judged all the same, by a state that was not final.
            verdict.add_not_quiescent(&error.to_string());
        }
        Ok((verdict, state))
    }

    /// Downloads all attachments that were sent. See [`FinalState::downloads`].
    async fn download_sent(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut downloads = BTreeMap::new();
        for account in &self.accounts {
            for attachment in final_state::sent_attachments(&self.databases, account).await? {
                let sha256 = self.driver.download_attachment(&account.agents[0], &attachment).await;
                downloads.insert(attachment, sha256.unwrap_or_default());
            }
        }
        Ok(downloads)
    }

    /// The final state, as of one moment: chats time out at any time, so the service that ends them is paused while it is read.
    async fn final_state(&self) -> Result<FinalState, Failure> {
        let replicas = self.cluster.replicas.iter().filter(|replica| replica.service == Service::BotSession);
        let replicas: Vec<_> = replicas.collect();
        for _ in 1..MAX_READS {
            replicas.iter().for_each(|replica| replica.pause());
            let state = self.read_paused().await;
            replicas.iter().for_each(|replica| replica.resume());
            if let Some(state) = state? {
                return Ok(state);
            }
            tokio::time::sleep(READ_AGAIN_AFTER).await;
        }
        final_state::read(&self.cluster, &self.databases, &self.accounts).await
    }

    /// None: a timeout is not finished everywhere.
    async fn read_paused(&self) -> Result<Option<FinalState>, Failure> {
        let last_events = || final_state::last_events(&self.databases, &self.accounts);
        let before = last_events().await?;
        if !is_quiescent(&self.cluster, &self.databases).await? {
            return Ok(None);
        }
        let state = final_state::read(&self.cluster, &self.databases, &self.accounts).await?;
        Ok((last_events().await? == before).then_some(state))
    }
}

/// Prints the first violations of each rule.
fn print_violations(verdict: &Verdict) {
    for (rule, violations) in verdict.0.iter().filter(|(_, violations)| !violations.is_empty()) {
        println!("  {rule}: {} violations", violations.len());
        for violation in violations.iter().take(5) {
            println!("      {violation}");
        }
    }
}
