//! The rows of the scorecard, each with a fresh history and fresh accounts on one installation that they share.

mod r1;
mod r11;
mod r13;
mod r14;
mod r15;
mod r16;
mod r17;
mod r3;
mod r5;
mod r8;
mod r9;
mod steady;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_auth::CallerKind as Caller;
use futures::future::BoxFuture;

use crate::{
    checker::{Evidence, Verdict, check},
    cluster::{Cluster, Failure},
    driver::{Driver, Somebody},
    faults::FaultLog,
    finals::{self, Databases},
    history::Recorder,
    quiet::settle,
    report::{Report, Row},
    state::Final,
    workload::{Shop, ShopKind, Watchers},
};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A hundredth of what the scorecard says.
    Smoke,
    /// A tenth.
    Short,
    /// All of it.
    Full,
}

impl Size {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Short => "short",
            Self::Full => "full",
        }
    }

    /// One of three.
    pub fn pick<T>(self, smoke: T, short: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// One run.
pub struct Bench {
    /// How much is done.
    pub size: Size,
    /// What chance is made of.
    pub seed: u64,
    /// The installation; gone after a row that left it broken.
    cluster: Option<Cluster>,
    folder: PathBuf,
    rounds: usize,
    report: Report,
}

/// What a row works with.
pub struct Stage {
    /// The installation.
    pub cluster: Cluster,
    /// Its databases.
    pub databases: Databases,
    /// Calls it.
    pub driver: Driver,
    /// The accounts of the row.
    pub shops: Vec<Shop>,
    /// Faults that the row makes.
    pub log: FaultLog,
    /// How much is done.
    pub size: Size,
    /// The row's own seed.
    pub seed: u64,
    /// Where it keeps its files.
    pub folder: PathBuf,
    admin: Somebody,
}

/// How a row ends, besides its figures.
#[derive(Clone, Copy)]
pub struct Ending<'a> {
    /// The watchers of the row.
    pub watchers: Option<&'a Watchers>,
    /// See [`Evidence::latest`].
    pub latest: Option<i64>,
    /// Whether the clock may be moved while deliveries wait for later.
    pub hurries: bool,
    /// Whether mails, events and all others may take long.
    pub patience: Duration,
}

impl Default for Ending<'_> {
    fn default() -> Self {
        Self { watchers: None, latest: None, hurries: true, patience: Duration::from_secs(150) }
    }
}

type RowOf = for<'a> fn(&'a mut Stage) -> BoxFuture<'a, Result<(Row, Verdict), Failure>>;

/// A row: its name, what it needs, what it does.
struct Entry {
    name: &'static str,
    shops: usize,
    kind: ShopKind,
    smoke: bool,
    run: RowOf,
}

const ROWS: &[Entry] = &[
    Entry { name: "R1", shops: 2, kind: ShopKind::Whole, smoke: true, run: |stage| Box::pin(r1::run(stage)) },
    Entry { name: "R3", shops: 1, kind: ShopKind::WithoutMail, smoke: true, run: |stage| Box::pin(r3::run(stage)) },
    Entry { name: "R5", shops: 1, kind: ShopKind::WithoutMail, smoke: true, run: |stage| Box::pin(r5::run(stage)) },
    Entry { name: "R9", shops: 1, kind: ShopKind::WithoutMail, smoke: true, run: |stage| Box::pin(r9::run(stage)) },
    Entry { name: "R8", shops: 1, kind: ShopKind::WithoutMail, smoke: false, run: |stage| Box::pin(r8::run(stage)) },
    Entry { name: "R11", shops: 2, kind: ShopKind::Whole, smoke: true, run: |stage| Box::pin(r11::run(stage)) },
    Entry { name: "R14", shops: 1, kind: ShopKind::WithoutMail, smoke: false, run: |stage| Box::pin(r14::run(stage)) },
    Entry { name: "R15", shops: 1, kind: ShopKind::WithoutMail, smoke: false, run: |stage| Box::pin(r15::run(stage)) },
    Entry { name: "R16", shops: 1, kind: ShopKind::WithoutMail, smoke: false, run: |stage| Box::pin(r16::run(stage)) },
    Entry { name: "R17", shops: 1, kind: ShopKind::WithoutMail, smoke: false, run: |stage| Box::pin(r17::run(stage)) },
];

impl Bench {
    /// A run that keeps its files in `folder`.
    pub fn new(size: Size, seed: u64, folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let report = Report { size: size.name().to_owned(), seed, ..Report::default() };
        Ok(Self { size, seed, cluster: None, folder: folder.to_owned(), rounds: 0, report })
    }

    /// Runs the rows of the size, or only those named.
    pub async fn run(mut self, only: &[String]) -> Report {
        let wanted = |name: &str, smoke: bool| match only {
            [] => smoke || self.size != Size::Smoke,
            only => only.iter().any(|one| one.eq_ignore_ascii_case(name)),
        };
        let rows: Vec<&Entry> = ROWS.iter().filter(|row| wanted(row.name, row.smoke)).collect();
        let events = wanted("R13", false);
        for row in rows {
            println!("{} …", row.name);
            let began = std::time::Instant::now();
            let result = self.row(row).await;
            self.put(row.name, began, result);
        }
        if events {
            println!("R13 …");
            let began = std::time::Instant::now();
            let result = r13::run(self.size, self.seed, &self.folder).await;
            self.put("R13", began, result.map(|row| (row, Verdict::default())));
        }
        self.report
    }

    fn put(&mut self, name: &str, began: std::time::Instant, result: Result<(Row, Verdict), Failure>) {
        let row = match result {
            Ok((row, verdict)) => {
                print(&verdict);
                self.report.add(&verdict);
                row
            }
            Err(error) => Row::new(error.to_string(), false),
        };
        let row = row.with("seconds", began.elapsed().as_secs());
        println!("{name}: {} {}", if row.pass { "pass" } else { "FAIL" }, serde_json::json!(row));
        self.report.rows.insert(name.to_owned(), row);
    }

    async fn row(&mut self, row: &Entry) -> Result<(Row, Verdict), Failure> {
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => {
                self.rounds += 1;
                Cluster::start(&self.folder.join(format!("installation-{}", self.rounds)), self.seed).await?
            }
        };
        let mut stage = Stage::set(cluster, row, self.size, self.seed, &self.folder.join(row.name)).await?;
        let result = (row.run)(&mut stage).await;
        stage.cluster.keep_logs();
        stage.driver.recorder.finish();
        stage.log.keep(&stage.folder.join("faults.jsonl"))?;
        // What a row left broken is not used again.
        if result.is_ok() {
            self.cluster = Some(stage.cluster);
        }
        result
    }
}

impl Stage {
    async fn set(cluster: Cluster, row: &Entry, size: Size, seed: u64, folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let recorder = Recorder::create(&folder.join("history.jsonl"), cluster.began)?;
        let driver = Driver::new(&cluster, recorder.clone())?;
        let databases = Databases::connect(&cluster).await?;
        let mut shops = Vec::new();
        for _ in 0..row.shops {
            shops.push(Shop::open(&driver, &cluster.sink, row.kind, 4).await?);
        }
        let seed = row.name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let admin = driver.somebody(shops[0].account, Caller::Admin, "administrator", |_| {});
        let log = FaultLog::new(&recorder);
        Ok(Self { cluster, databases, driver, shops, log, size, seed, folder: folder.to_owned(), admin })
    }

    /// Moves the installation's clock; gives what it shows then, in microseconds.
    pub async fn advance(&self, by: Duration) -> Result<i64, Failure> {
        Ok(self.driver.advance(&self.admin, by).await.ok_or("nobody moved the clock")?)
    }

    /// Heals, waits until nothing moves, and checks everything.
    pub async fn end(&mut self, ending: Ending<'_>) -> Result<(Verdict, Final), Failure> {
        self.cluster.heal().await?;
        let hurries = ending.hurries.then_some(&self.admin);
        let restless = settle(&self.cluster, &self.databases, &self.driver, hurries, ending.patience).await;
        if let Some(watchers) = ending.watchers {
            let last = finals::last_numbers(&self.databases, &self.shops).await?;
            let of = |id: &str| last.get(id).copied().unwrap_or_default();
            watchers.finish(of, Duration::from_secs(30)).await;
        }
        let state = finals::read(&self.cluster, &self.databases, &self.shops).await?;
        std::fs::write(self.folder.join("final.json"), serde_json::to_vec(&state)?)?;
        let history = self.driver.recorder.finish();
        let faults = self.log.all();
        let evidence = Evidence { history: &history, faults: &faults, state: &state, latest: ending.latest };
        let mut verdict = check(evidence);
        if let Err(restless) = restless {
            // What the rules say of a state that was not final counts, and so does this.
            verdict.restless(&restless.to_string());
        }
        Ok((verdict, state))
    }
}

/// The first few violations of each rule.
fn print(verdict: &Verdict) {
    for (rule, violations) in verdict.0.iter().filter(|(_, violations)| !violations.is_empty()) {
        println!("  {rule}: {} violations", violations.len());
        for violation in violations.iter().take(5) {
            println!("      {violation}");
        }
    }
}
