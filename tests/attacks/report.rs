//! Runs one attack after another on a process, beside an honest caller, and prints the results as a report.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    honest_caller::{HonestCaller, Window},
    target::Target,
};

/// How long the process is left alone before each attack.
const CALM: Duration = Duration::from_secs(1);
/// Number of latest calm periods that the honest caller's usual latency is measured in.
const CALMS: usize = 3;
/// Minimum duration for which an attack is repeated.
const ATTACK: Duration = Duration::from_secs(2);
/// Pause between two repetitions, as a cut client that reconnects would make.
const PAUSE: Duration = Duration::from_millis(100);
/// Increase of the honest caller's latency that counts as noise. Attackers, caller and server share the cores, and the
/// 99th percentile of 200 calls is the third slowest one.
const NOISE: Duration = Duration::from_millis(30);
/// Number of times that an attack is repeated when the honest caller was slow: other programs on the machine can cause
/// that once.
const TRIES: usize = 3;

pub const MIB: u64 = 1024;

/// Result of one attack.
#[derive(Default)]
pub struct Outcome {
    /// Longest time from the first hostile byte until the server closed a connection. None: no connection had to be
    /// cut.
    pub cut: Option<Duration>,
    /// How the server reacted.
    pub how: String,
    /// What does not hold.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn reaction(how: impl Into<String>) -> Self {
        Self { how: how.into(), ..Self::default() }
    }

    /// Records a failure unless `holds`.
    pub fn require(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.wrong.push(otherwise());
        }
        self
    }

    /// Combines two results.
    pub fn and(mut self, other: Self) -> Self {
        self.cut = self.cut.max(other.cut);
        if !self.how.contains(&other.how) {
            self.how = [self.how, other.how].into_iter().filter(|how| !how.is_empty()).collect::<Vec<_>>().join(", ");
        }
        self.wrong.extend(other.wrong.into_iter().filter(|wrong| !self.wrong.contains(wrong)).collect::<Vec<_>>());
        self
    }
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    before: Duration,
    during: Duration,
    honest_calls: usize,
    grew: u64,
    may_grow: u64,
}

/// The process, the honest caller, and the results so far.
pub struct Report {
    pub target: Target,
    honest: HonestCaller,
    calms: Vec<Window>,
    rows: Vec<Row>,
}

impl Report {
    pub async fn open(target: Target) -> Self {
        let honest = HonestCaller::start(target.process.address(), target.process.keys());
        // Until the honest caller is connected and the server's caches are warm.
        tokio::time::sleep(CALM).await;
        let mut report = Self { target, honest, calms: Vec::new(), rows: Vec::new() };
        for _ in 1..CALMS {
            report.calm().await;
        }
        report
    }

    pub fn address(&self) -> SocketAddr {
        self.target.process.listen
    }

    async fn calm(&mut self) {
        let from = Instant::now();
        tokio::time::sleep(CALM).await;
        self.calms.push((from, Instant::now()));
    }

    /// Runs the attack repeatedly for a while. `may_grow`: maximum growth of memory, in KiB.
    pub async fn attack(&mut self, name: &'static str, may_grow: u64, attack: impl AsyncFn() -> Outcome) {
        for left in (0..TRIES).rev() {
            let row = self.once(name, may_grow, &attack).await;
            // Only the honest caller's latency depends on other programs.
            if !row.slowed_the_honest_caller() || !row.outcome.wrong.is_empty() || left == 0 {
                self.rows.push(row);
                return;
            }
        }
    }

    async fn once(&mut self, name: &'static str, may_grow: u64, attack: &impl AsyncFn() -> Outcome) -> Row {
        self.calm().await;
        let usual = self.target.memory();
        let most = Cell::new(usual);
        let watching = async {
            loop {
                most.set(most.get().max(self.target.memory()));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let from = Instant::now();
        let attacking = async {
            let mut all = attack().await;
            while from.elapsed() < ATTACK {
                tokio::time::sleep(PAUSE).await;
                all = all.and(attack().await);
            }
            all
        };
        let outcome = tokio::select! {
            outcome = attacking => outcome,
            () = watching => unreachable!(),
        };
        let to = Instant::now();
        let (before, _) = self.honest.p99(&self.calms[self.calms.len() - CALMS..]).await;
        let (during, honest_calls) = self.honest.p99(&[(from, to)]).await;
        Row { name, outcome, before, during, honest_calls, grew: most.get() - usual, may_grow }
    }

    /// Prints the report; returns every failure.
    pub fn close(self) -> (Target, Vec<String>) {
        let failed = self.honest.stop();
        println!("\n| attack | cut after ms | how | honest p99 before ms | during | memory grew MiB | |");
        println!("|---|---|---|---|---|---|---|");
        let mut wrong: Vec<String> = self.rows.into_iter().flat_map(Row::print).collect();
        if let Some(first) = failed.first() {
            wrong.push(format!("{} calls of the honest caller failed, the first with: {first}", failed.len()));
        }
        (self.target, wrong)
    }
}

impl Row {
    fn slowed_the_honest_caller(&self) -> bool {
        self.during > (self.before * 2).max(self.before + NOISE)
    }

    /// Prints the row; returns its failures.
    fn print(self) -> Vec<String> {
        let felt = self.slowed_the_honest_caller();
        let Self { name, outcome, before, during, honest_calls, grew, may_grow } = self;
        let mut wrong = outcome.wrong;
        if felt {
            wrong.push(format!("the honest caller waited {during:?}, and {before:?} before the attack"));
        }
        if honest_calls < 100 {
            wrong.push(format!("only {honest_calls} honest calls: too few to compare"));
        }
        if grew > may_grow {
            wrong.push(format!("memory grew by {} MiB, {} are allowed", grew / MIB, may_grow / MIB));
        }
        let cut = outcome.cut.map_or_else(|| "-".to_owned(), |cut| cut.as_millis().to_string());
        let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
        let (before, during) = (ms(before), ms(during));
        let result = if wrong.is_empty() { "holds".to_owned() } else { format!("FAILS: {}", wrong.join("; ")) };
        println!("| {name} | {cut} | {} | {before} | {during} | {} | {result} |", outcome.how, grew / MIB);
        wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect()
    }
}
