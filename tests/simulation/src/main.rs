//! `frontdesk-simulation`: runs seeds of the simulation, and prints the trace of one that violates a rule. See the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command line program")]

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use frontdesk_simulation::{Failure, Run, Template, find_violations, run_seed};

/// Runs seeds of the simulation of the protocols.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Number of seeds, from 0.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Only this seed, with its trace.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("frontdesk-simulation: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every rule holds.
fn run(cli: &Cli) -> Result<bool, Failure> {
    let template = Template::create()?;
    if let Some(seed) = cli.seed {
        let run = run_seed(&template, seed, None)?;
        print(&run);
        return Ok(run.violations.is_empty());
    }
    let began = Instant::now();
    let violating = find_violations(&template, 0..cli.seeds, None, 1)?;
    match violating.first() {
        None => {
            let seconds = began.elapsed().as_secs_f64();
            println!("{} seeds, 0 violations, {:.0} seeds per second", cli.seeds, cli.seeds as f64 / seconds);
            Ok(true)
        }
        Some(run) => {
            print(run);
            Ok(false)
        }
    }
}

fn print(run: &Run) {
    run.trace.iter().for_each(|line| println!("{line}"));
    println!("seed {}: {} violations", run.seed, run.violations.len());
    run.violations.iter().for_each(|violation| println!("{violation}"));
    if !run.violations.is_empty() {
        println!("Again: make simulate SEED={}", run.seed);
    }
}
