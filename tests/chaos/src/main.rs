//! `frontdesk-chaos`: torments an installation and reports what holds. See the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use frontdesk_chaos::rows::{Bench, Size};
use rand::Rng;

/// Kills, cuts, pauses and cancels, and checks what is left.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How much is done.
    size: Sizes,
    /// What chance is made of; printed, so that a schedule can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these rows, such as R1,R8.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Keeps the files of the run also when everything holds.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sizes {
    /// Minutes: a hundredth.
    Smoke,
    /// Under twenty minutes: a tenth.
    Short,
    /// Everything.
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
        Sizes::Smoke => Size::Smoke,
        Sizes::Short => Size::Short,
        Sizes::Full => Size::Full,
    };
    let seed = cli.seed.unwrap_or_else(|| rand::rng().random());
    let target = target_folder();
    let folder = target.join("chaos").join(format!("{}-{seed}", size.name()));
    println!("seed {seed}; the run is kept in {}", folder.display());
    let report = Bench::new(size, seed, &folder)?.run(&cli.only).await;
    report.print();
    report.keep(&target.join("chaos.json"))?;
    let passes = report.passes();
    if passes && !cli.keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(passes)
}

/// The folder `target` of the workspace.
fn target_folder() -> PathBuf {
    let ours = std::env::current_exe().unwrap_or_default();
    ours.ancestors().find(|folder| folder.ends_with("target")).map_or_else(|| "target".into(), PathBuf::from)
}
