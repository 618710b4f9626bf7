//! One attack after another on one process, beside an honest caller, and the table of what came of them.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    honest::{Honest, Window},
    victim::Victim,
};

/// Nobody attacks for so long before each attack.
const CALM: Duration = Duration::from_secs(1);
/// The honest caller's usual time is that of the latest so many calms.
const CALMS: usize = 3;
/// An attack is made again and again for at least so long.
const ATTACKED: Duration = Duration::from_secs(2);
/// Between two attacks: who is cut comes back, but not as fast as the machine allows, which nothing at this end can help.
const BREATH: Duration = Duration::from_millis(100);
/// The honest caller may be so much slower without a word. Attackers, caller and server share the cores here, and the
/// hundredth part of 200 calls is two of them: a debug build that does nothing wrong is late by that much now and then.
const NOISE: Duration = Duration::from_millis(20);
/// Another program's second on the same cores looks like an attack's. An attack is felt each time.
const TRIES: usize = 3;

pub const MIB: u64 = 1024;

/// What came of one attack.
#[derive(Default)]
pub struct Outcome {
    /// The longest time from the first hostile byte until the server closed a connection. None: nobody had to be cut.
    pub cut: Option<Duration>,
    /// How the server answered.
    pub how: String,
    /// What is not as it must be.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn told(how: impl Into<String>) -> Self {
        Self { how: how.into(), ..Self::default() }
    }

    /// Notes what is wrong, unless it holds.
    pub fn demand(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.wrong.push(otherwise());
        }
        self
    }

    /// Both of them, as one.
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

/// The process, the honest caller, and what was done so far.
pub struct Table {
    pub victim: Victim,
    honest: Honest,
    calms: Vec<Window>,
    rows: Vec<Row>,
}

impl Table {
    pub async fn open(victim: Victim) -> Self {
        let honest = Honest::start(victim.process.address(), victim.process.keys());
        // Its connection is made and the server's caches are warm.
        tokio::time::sleep(CALM).await;
        let mut table = Self { victim, honest, calms: Vec::new(), rows: Vec::new() };
        for _ in 1..CALMS {
            table.calm().await;
        }
        table
    }

    pub fn address(&self) -> SocketAddr {
        self.victim.process.listen
    }

    async fn calm(&mut self) {
        let from = Instant::now();
        tokio::time::sleep(CALM).await;
        self.calms.push((from, Instant::now()));
    }

    /// Makes the attack again and again for a while; memory may grow by so many KiB meanwhile.
    pub async fn attack(&mut self, name: &'static str, may_grow: u64, attack: impl AsyncFn() -> Outcome) {
        for left in (0..TRIES).rev() {
            let row = self.once(name, may_grow, &attack).await;
            // What is wrong with the attack itself is no matter of chance.
            if !row.was_felt() || !row.outcome.wrong.is_empty() || left == 0 {
                self.rows.push(row);
                return;
            }
        }
    }

    async fn once(&mut self, name: &'static str, may_grow: u64, attack: &impl AsyncFn() -> Outcome) -> Row {
        self.calm().await;
        let usual = self.victim.memory();
        let most = Cell::new(usual);
        let watching = async {
            loop {
                most.set(most.get().max(self.victim.memory()));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let from = Instant::now();
        let attacking = async {
            let mut all = attack().await;
            while from.elapsed() < ATTACKED {
                tokio::time::sleep(BREATH).await;
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

    /// Prints the table; gives everything that is not as it must be.
    pub fn close(self) -> (Victim, Vec<String>) {
        let failed = self.honest.stop();
        println!("\n| attack | cut after ms | how | honest p99 before ms | during | memory grew MiB | |");
        println!("|---|---|---|---|---|---|---|");
        let mut wrong: Vec<String> = self.rows.into_iter().flat_map(Row::judge).collect();
        if let Some(first) = failed.first() {
            wrong.push(format!("{} calls of the honest caller failed, the first with: {first}", failed.len()));
        }
        (self.victim, wrong)
    }
}

impl Row {
    fn was_felt(&self) -> bool {
        self.during > (self.before * 2).max(self.before + NOISE)
    }

    /// Prints it; gives what is not as it must be.
    fn judge(self) -> Vec<String> {
        let felt = self.was_felt();
        let Self { name, outcome, before, during, honest_calls, grew, may_grow } = self;
        let mut wrong = outcome.wrong;
        if felt {
            wrong.push(format!("the honest caller waited {during:?}, before that {before:?}"));
        }
        if honest_calls < 100 {
            wrong.push(format!("{honest_calls} honest calls say nothing"));
        }
        if grew > may_grow {
            wrong.push(format!("memory grew by {} MiB, {} are allowed", grew / MIB, may_grow / MIB));
        }
        let cut = outcome.cut.map_or_else(|| "-".to_owned(), |cut| cut.as_millis().to_string());
        let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
        let (before, during) = (ms(before), ms(during));
        let judged = if wrong.is_empty() { "holds".to_owned() } else { format!("FAILS: {}", wrong.join("; ")) };
        println!("| {name} | {cut} | {} | {before} | {during} | {} | {judged} |", outcome.how, grew / MIB);
        wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect()
    }
}
