//! `frontdesk-chaos`: injects faults into an installation and reports which rules hold. See the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command line program")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use frontdesk_chaos::rows::{Run, Size};
use rand::Rng;

/// Injects faults into an installation under load, and checks what is left.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Size of the run.
    size: SizeArgument,
    /// Seed of all random choices. Default: a random one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these rows, for example R1,R8.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Binary of an older commit: runs the rows of an upgrade from it instead.
    #[arg(long)]
    older_binary: Option<PathBuf>,
    /// Keeps the files of the run although every rule holds.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SizeArgument {
    /// About 1 % of the scorecard's sizes: minutes.
    Smoke,
    /// About 10 %: less than 20 minutes.
    Short,
    /// All of it: hours.
    Full,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(run(cli)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("frontdesk-chaos: {error}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<bool, frontdesk_chaos::cluster::Failure> {
    let size = match cli.size {
        SizeArgument::Smoke => Size::Smoke,
        SizeArgument::Short => Size::Short,
        SizeArgument::Full => Size::Full,
    };
    let seed = cli.seed.unwrap_or_else(|| rand::rng().random());
    let target = target_folder();
    let folder = target.join("chaos").join(format!("{}-{seed}", size.name()));
    println!("seed {seed}; the files of the run are in {}", folder.display());
    let run = Run::new(size, seed, &folder)?;
    let (report, file) = match &cli.older_binary {
        Some(older) => (run.run_upgrade(older, &cli.only).await, "upgrade.json"),
        None => (run.run(&cli.only).await, "chaos.json"),
    };
    report.print();
    report.write(&target.join(file))?;
    let passes = report.passes();
    if passes && !cli.keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(passes)
}

/// The folder `target` of the workspace.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().find(|folder| folder.ends_with("target")).map_or_else(|| "target".into(), PathBuf::from)
}
