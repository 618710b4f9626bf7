//! Performance as ratios: the figures of Frontdesk, and of a baseline that uses the same database, broker or transport without
//! it, measured in turn on the same machine and servers. Prints a table and writes `bench.json` into the target folder.
//!
//! Start reading at `rows`: one file for each row of the table. `deployment` and `embedded` start Frontdesk, `load` generates the
//! load; `pgbench`, `baseline_server` and `embedded` have the baselines. `compare` measures the builds of two commits.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that fails ends the run with the error, and the output is a report"
)]

mod baseline_server;
mod compare;
mod deployment;
mod embedded;
mod fixture;
mod inbox_baseline;
mod indexed;
mod load;
mod mail_sink;
mod memory;
mod other_processes;
mod pgbench;
mod process;
mod report;
mod rows;

use std::process::ExitCode;

use baseline_server::BaselineArguments;
use clap::{Parser, Subcommand, ValueEnum};
use compare::CompareArguments;
use deployment::{BusKind, Deployment};
use mail_sink::SinkArguments;
use report::Row;
use rows::{
    Plan, p1_post_message, p1a_single_call_latency, p1b_outbox_relay, p2_post_message_on_sqlite, p3_fan_out,
    p4_latency_at_fixed_rate, p5_timeouts, p6_mails, q_thread, q1_inbox_page, q1_search, q2_routing, q3_idle_watches,
    q3_sessions, q4_files, q4_growth,
};

/// Measures Frontdesk beside baselines of what it is built on.
#[derive(Parser)]
struct Cli {
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Name>,
    /// Number of rounds; the medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of each measurement in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Event bus of the deployment.
    #[arg(long, default_value = "nats")]
    bus: BusKind,
    /// Number of conversations of the inbox of Q1, and of those that Q1_search searches, with ten entries each.
    #[arg(long, default_value_t = 100_000)]
    inbox: u32,
    /// Number of open bot sessions beside those that are due in P5, and of those in Q3_sessions.
    #[arg(long, default_value_t = 100_000)]
    sessions: u32,
    /// Number of bot sessions that are due in the same second in P5_burst.
    #[arg(long, default_value_t = 5_000)]
    burst: u32,
    /// Fail unless these rows are measured and meet their goals.
    #[arg(long, value_delimiter = ',')]
    require: Vec<String>,
    /// Number of conversations that wait for an agent in Q2.
    #[arg(long, default_value_t = 10_000)]
    waiting: u32,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The rows, in the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
enum Name {
    P1,
    #[value(name = "P1_256")]
    P1With256,
    #[value(name = "P1a")]
    P1A,
    #[value(name = "P1b")]
    P1B,
    P3,
    P4,
    #[value(name = "P4_watch")]
    P4Watch,
    P6,
    P5,
    #[value(name = "Q4_replicas")]
    Q4Replicas,
    #[value(name = "Q4_entries")]
    Q4Entries,
    Q1,
    #[value(name = "Q1_search")]
    Q1Search,
    Q3,
    #[value(name = "Q3_sessions")]
    Q3Sessions,
    #[value(name = "Q_thread")]
    QThread,
    Q2,
    P2,
    #[value(name = "Q4_files")]
    Q4Files,
}

impl Name {
    /// Whether the row is measured only when it is named: storing ten million entries takes minutes, and files need 5 GB of disk.
    fn must_be_named(self) -> bool {
        matches!(self, Self::Q4Entries | Self::Q4Files)
    }

    /// Whether the row has a deployment in embedded mode of its own.
    fn is_embedded(self) -> bool {
        matches!(self, Self::P2 | Self::Q4Files)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Compares the speed of two builds in alternating rounds.
    Compare(CompareArguments),
    /// Runs the baseline server; a measurement starts it.
    #[command(hide = true)]
    Baseline(BaselineArguments),
    /// Runs the mail sink; a measurement starts it.
    #[command(hide = true)]
    Sink(SinkArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Compare(arguments)) => return compare::run(arguments).await,
        Some(Command::Baseline(arguments)) => baseline_server::serve(arguments).await,
        Some(Command::Sink(arguments)) => mail_sink::serve(arguments).await,
        None => {
            let rows = measure(&cli).await;
            let is_met = |name: &String| rows.iter().any(|row| row.name == name.as_str() && row.is_met());
            if !cli.require.iter().all(is_met) {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

async fn measure(cli: &Cli) -> Vec<Row> {
    let selected: Vec<Name> = match cli.only.is_empty() {
        true => Name::value_variants().iter().copied().filter(|name| !name.must_be_named()).collect(),
        false => cli.only.clone(),
    };
    let plan = Plan::new(cli.rounds, cli.seconds);
    let mut rows = Vec::new();
    if selected.iter().any(|name| !name.is_embedded()) {
        rows.append(&mut measure_deployment(&selected, plan, cli).await);
    }
    if selected.contains(&Name::P2) {
        rows.push(p2_post_message_on_sqlite::run(plan).await);
    }
    if selected.contains(&Name::Q4Files) {
        rows.extend(q4_files::run(plan).await);
    }
    report::print(&rows);
    let file = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("bench.json");
    report::write(&rows, &file).unwrap();
    println!("\n{} rounds of {} s; the figures are in {}", plan.rounds, plan.length.as_secs(), file.display());
    rows
}

/// Measures the rows on PostgreSQL and the bus.
async fn measure_deployment(selected: &[Name], plan: Plan, cli: &Cli) -> Vec<Row> {
    let mut deployment = Deployment::start(cli.bus).await;
    let mut rows = Vec::new();
    let in_flight = [(Name::P1, p1_post_message::P1), (Name::P1With256, p1_post_message::P1_256)];
    let in_flight: Vec<_> =
        in_flight.into_iter().filter(|(name, _)| selected.contains(name)).map(|(_, row)| row).collect();
    if !in_flight.is_empty() {
        rows.append(&mut p1_post_message::run(&deployment, plan, &in_flight).await);
    }
    if selected.contains(&Name::P1A) {
        rows.push(p1a_single_call_latency::run(&deployment, plan).await);
    }
    if selected.contains(&Name::P1B) {
        rows.push(p1b_outbox_relay::run(&deployment, plan).await);
    }
    if selected.contains(&Name::P3) {
        rows.push(p3_fan_out::run(&deployment, plan).await);
    }
    if selected.contains(&Name::P4) || selected.contains(&Name::P4Watch) {
        let p1_rate = match rows.iter().find(|row| row.name == p1_post_message::P1.name) {
            Some(row) => row.value(),
            None => p1_post_message::current_rate(&deployment, plan).await,
        };
        if selected.contains(&Name::P4) {
            rows.push(p4_latency_at_fixed_rate::run(&deployment, plan, p1_rate).await);
        }
        if selected.contains(&Name::P4Watch) {
            rows.push(p4_latency_at_fixed_rate::run_watch(&mut deployment, plan, p1_rate).await);
        }
    }
    // With the in-process bus there is one process. Before P5, whose closes the notification service would decide meanwhile.
    if selected.contains(&Name::P6) && cli.bus == BusKind::Nats {
        rows.extend(p6_mails::run(&mut deployment, plan).await);
    }
    // With the in-process bus there is one process, which does not let its databases be copied.
    if selected.contains(&Name::P5) && cli.bus == BusKind::Nats {
        rows.extend(p5_timeouts::run(&mut deployment, plan, cli.sessions, cli.burst).await);
    }
    // With the in-process bus there is one process.
    if selected.contains(&Name::Q4Replicas) && cli.bus == BusKind::Nats {
        rows.push(q4_growth::run_replicas(&mut deployment, plan).await);
    }
    if selected.contains(&Name::Q4Entries) {
        rows.push(q4_growth::run_entries(&deployment, plan).await);
    }
    if selected.contains(&Name::Q3) {
        rows.extend(q3_idle_watches::run(&deployment, plan).await);
        rows.extend(q3_idle_watches::widgets(&deployment, plan).await);
    }
    // With the in-process bus there is one process.
    if selected.contains(&Name::Q3Sessions) && cli.bus == BusKind::Nats {
        rows.push(q3_sessions::run(&mut deployment, plan, cli.sessions).await);
    }
    if selected.contains(&Name::Q1) {
        rows.append(&mut q1_inbox_page::run(&deployment, plan, cli.inbox).await);
    }
    if selected.contains(&Name::Q1Search) {
        rows.append(&mut q1_search::run(&deployment, plan, cli.inbox).await);
    }
    // With the in-process bus there is one process.
    if selected.contains(&Name::QThread) && cli.bus == BusKind::Nats {
        rows.push(q_thread::run(&deployment, plan).await);
    }
    // The last one: what still waits is decided about until the deployment ends.
    if selected.contains(&Name::Q2) {
        rows.extend(q2_routing::run(&deployment, plan, cli.waiting).await);
    }
    rows
}
