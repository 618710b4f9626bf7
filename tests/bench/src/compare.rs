//! Compares two builds of Frontdesk: the rows are measured in pairs, one build after the other and in alternating order, against
//! one PostgreSQL server, by this program. Each build has databases and a NATS server of its own. `tests/bench/compare.sh` builds
//! the binaries.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use frontdesk_bench::raw::Client;
use frontdesk_test_servers::Postgres;
use sea_orm::sqlx::PgConnection;

use crate::{
    deployment::Deployment,
    embedded::Embedded,
    load,
    other_processes::{ProcessorTimes, load_average},
    process::Binary,
    report::median,
    rows::{
        Plan,
        p1_post_message::{self, P1, P1_256},
        p2_post_message_on_sqlite,
    },
};

/// Minimum median of the ratios of P1.
const MIN_P1_RATIO: f64 = 0.95;

/// The arguments of a comparison.
#[derive(Debug, clap::Args)]
pub struct CompareArguments {
    /// The `frontdesk` binary to compare with.
    #[arg(long)]
    base: PathBuf,
    /// The `frontdesk` binary that is judged. Default: the one beside this program.
    #[arg(long)]
    current: Option<PathBuf>,
    /// Rows to measure.
    #[arg(long, value_delimiter = ',', default_value = "P1")]
    rows: Vec<CompareRow>,
    /// Number of pairs of each row.
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// Length of each measurement in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// The rows that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
enum CompareRow {
    P1,
    #[value(name = "P1_256")]
    P1With256,
    #[value(name = "P1a")]
    P1A,
    P2,
}

impl CompareRow {
    fn name(self) -> &'static str {
        match self {
            Self::P1 => P1.name,
            Self::P1With256 => P1_256.name,
            Self::P1A => "P1a",
            Self::P2 => "P2",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::P1A => "ms, p50 (smaller is better; the ratio is base / current)",
            _ => "messages/s (the ratio is current / base)",
        }
    }

    /// The speed of the current build relative to the base.
    fn ratio(self, base: f64, current: f64) -> f64 {
        match self {
            Self::P1A => base / current,
            _ => current / base,
        }
    }
}

/// Runs the comparison. Fails if the median ratio of P1 is below [`MIN_P1_RATIO`].
pub async fn run(arguments: CompareArguments) -> ExitCode {
    let plan = Plan::new(arguments.pairs, arguments.seconds);
    let base = Binary::new(arguments.base);
    let current = arguments.current.map_or_else(Binary::beside_this_program, Binary::new);
    println!("load average before the start: {}", load_average());
    let on_postgres: Vec<CompareRow> = arguments.rows.iter().copied().filter(|row| *row != CompareRow::P2).collect();
    let mut passes = true;
    if !on_postgres.is_empty() {
        let postgres = Arc::new(Postgres::start().await);
        let base = OnServers::start(base.clone(), &postgres, "base_").await;
        let current = OnServers::start(current.clone(), &postgres, "current_").await;
        passes &= compare_rows(Builds::OnServers(Box::new(base), Box::new(current)), &on_postgres, plan).await;
    }
    if arguments.rows.contains(&CompareRow::P2) {
        let (base, current) = (OnSqlite::start(base).await, OnSqlite::start(current).await);
        passes &= compare_rows(Builds::OnSqlite(Box::new(base), Box::new(current)), &[CompareRow::P2], plan).await;
    }
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The two running builds: the base and the current one.
enum Builds {
    OnServers(Box<OnServers>, Box<OnServers>),
    OnSqlite(Box<OnSqlite>, Box<OnSqlite>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    Base,
    Current,
}

impl Builds {
    async fn measure(&mut self, build: Build, row: CompareRow, length: Duration) -> f64 {
        match (self, build) {
            (Self::OnServers(base, _), Build::Base) => base.measure(row, length).await,
            (Self::OnServers(_, current), Build::Current) => current.measure(row, length).await,
            (Self::OnSqlite(base, _), Build::Base) => base.measure(length).await,
            (Self::OnSqlite(_, current), Build::Current) => current.measure(length).await,
        }
    }

    async fn assert_no_gaps(&self) {
        if let Self::OnServers(base, current) = self {
            base.deployment.assert_no_gaps().await;
            current.deployment.assert_no_gaps().await;
        }
    }
}

/// A build on PostgreSQL and NATS.
struct OnServers {
    client: Client,
    database: PgConnection,
    deployment: Deployment,
}

impl OnServers {
    async fn start(binary: Binary, postgres: &Arc<Postgres>, prefix: &str) -> Self {
        let deployment = Deployment::start_binary(binary, postgres.clone(), prefix).await;
        Self { client: deployment.client().await, database: deployment.database().await, deployment }
    }

    async fn measure(&mut self, row: CompareRow, length: Duration) -> f64 {
        let Self { client, database, deployment } = self;
        let in_flight = match row {
            CompareRow::P1With256 => P1_256.number,
            CompareRow::P1A => {
                let latency = load::closed_loop(client, &deployment.messages, 1, length).await.latency(500);
                deployment.drain_outbox(database).await;
                return latency;
            }
            CompareRow::P1 | CompareRow::P2 => P1.number,
        };
        p1_post_message::rate(deployment, client, database, in_flight, length).await.value
    }
}

/// A build in embedded mode.
struct OnSqlite {
    client: Client,
    embedded: Embedded,
}

impl OnSqlite {
    async fn start(binary: Binary) -> Self {
        let embedded = Embedded::start(binary).await;
        Self { client: embedded.client().await, embedded }
    }

    async fn measure(&self, length: Duration) -> f64 {
        p2_post_message_on_sqlite::rate(&self.embedded, &self.client, length).await.value
    }
}

/// Measures the pairs of all rows and prints them. Returns false if P1 is too slow.
async fn compare_rows(mut builds: Builds, rows: &[CompareRow], plan: Plan) -> bool {
    for row in rows {
        for build in [Build::Base, Build::Current] {
            builds.measure(build, *row, plan.warm_up).await;
        }
    }
    let began = ProcessorTimes::read();
    let mut ratios = vec![Vec::new(); rows.len()];
    for pair in 0..plan.rounds {
        // The order alternates, so that a drift of the machine's speed affects both builds.
        let order = if pair % 2 == 0 { [Build::Base, Build::Current] } else { [Build::Current, Build::Base] };
        for (row, ratios) in rows.iter().zip(&mut ratios) {
            let mut figures = [0.0; 2];
            for build in order {
                figures[usize::from(build == Build::Current)] = builds.measure(build, *row, plan.length).await;
            }
            let [base, current] = figures;
            let ratio = row.ratio(base, current);
            let (name, first) = (row.name(), if order[0] == Build::Base { "base" } else { "current" });
            println!(
                "{name} pair {}: base {base:.2}, current {current:.2}, ratio {ratio:.3} ({first} first, load average {})",
                pair + 1,
                load_average()
            );
            ratios.push(ratio);
        }
    }
    println!("other processes meanwhile: {}", ProcessorTimes::read().others_since(&began));
    builds.assert_no_gaps().await;
    let mut passes = true;
    for (row, ratios) in rows.iter().zip(ratios) {
        let minimum = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let maximum = ratios.iter().copied().fold(0.0, f64::max);
        let (pairs, median) = (ratios.len(), median(ratios));
        println!(
            "{}: median ratio {median:.3} (minimum {minimum:.3}, maximum {maximum:.3}, {pairs} pairs) of {}",
            row.name(),
            row.unit()
        );
        if *row == CompareRow::P1 && median < MIN_P1_RATIO {
            println!("P1 is too slow: the median ratio must be at least {MIN_P1_RATIO}");
            passes = false;
        }
    }
    passes
}
