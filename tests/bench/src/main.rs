//! Speed as ratios: what Frontdesk does, beside what its databases, its broker and its transport do without it, on the same
//! machine and servers, in turn. Prints a table and writes `bench.json` into the target folder.
//!
//! Start reading at `rows`: a file for each row of the table. `servers` starts what is measured, `load` drives it, `pgbench`,
//! `bare` and `sqlite` are what it is measured beside.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a figure that cannot be taken ends the run, and says so")]

mod bare;
mod fixture;
mod load;
mod messages;
mod pgbench;
mod process;
mod raw;
mod report;
mod rows;
mod servers;
mod sqlite;

use std::time::Duration;

use bare::BareArguments;
use clap::{Parser, Subcommand, ValueEnum};
use report::Row;
use rows::{Plan, p1, p1a, p1b, p2, p3, p4};
use servers::{BusKind, Suite};

/// Measures Frontdesk beside the limits of what it is built on.
#[derive(Parser)]
struct Cli {
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Name>,
    /// Value and limit are measured so often, in turn; the medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Each time for so long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How events travel.
    #[arg(long, default_value = "nats")]
    bus: BusKind,
    #[command(subcommand)]
    part: Option<Part>,
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
    P2,
}

#[derive(Subcommand)]
enum Part {
    /// The bare server; a run starts it by itself.
    #[command(hide = true)]
    Bare(BareArguments),
}

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    if let Some(Part::Bare(arguments)) = cli.part {
        return bare::serve(arguments).await;
    }
    let asked: Vec<Name> = if cli.only.is_empty() { Name::value_variants().to_vec() } else { cli.only.clone() };
    let length = Duration::from_secs(cli.seconds.max(1));
    let plan = Plan { rounds: cli.rounds.max(1), length, warm_up: (length / 2).max(Duration::from_secs(1)) };
    let mut measured = Vec::new();
    if asked.iter().any(|name| *name != Name::P2) {
        measured.append(&mut on_servers(&asked, plan, cli.bus).await);
    }
    if asked.contains(&Name::P2) {
        measured.push(p2::run(plan).await);
    }
    report::print(&measured);
    let file = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("bench.json");
    report::write(&measured, &file).unwrap();
    println!("\n{} rounds of {} s; the figures are in {}", plan.rounds, length.as_secs(), file.display());
}

/// The rows on PostgreSQL and the bus.
async fn on_servers(asked: &[Name], plan: Plan, bus: BusKind) -> Vec<Row> {
    let mut suite = Suite::start(bus).await;
    let mut measured = Vec::new();
    let in_flight = [(Name::P1, p1::P1), (Name::P1With256, p1::P1_256)];
    let in_flight: Vec<_> = in_flight.into_iter().filter(|(name, _)| asked.contains(name)).map(|(_, of)| of).collect();
    if !in_flight.is_empty() {
        measured.append(&mut p1::run(&suite, plan, &in_flight).await);
    }
    if asked.contains(&Name::P1A) {
        measured.push(p1a::run(&suite, plan).await);
    }
    if asked.contains(&Name::P1B) {
        measured.push(p1b::run(&suite, plan).await);
    }
    if asked.contains(&Name::P3) {
        measured.push(p3::run(&suite, plan).await);
    }
    if asked.contains(&Name::P4) || asked.contains(&Name::P4Watch) {
        let p1 = match measured.iter().find(|row| row.name == p1::P1.name) {
            Some(row) => row.value(),
            None => p1::rate_now(&suite, plan).await,
        };
        if asked.contains(&Name::P4) {
            measured.push(p4::run(&suite, plan, p1).await);
        }
        if asked.contains(&Name::P4Watch) {
            measured.push(p4::run_watch(&mut suite, plan, p1).await);
        }
    }
    measured
}
