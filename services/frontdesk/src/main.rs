//! `frontdesk`, the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints to its user")]

mod audit;
mod bearer;
mod config;
mod dead_letters;
mod demo;
mod serve;
mod stop_signal;
mod tail;
mod token;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use frontdesk::{Server, Service, Settings, doctor::Examination};
use stop_signal::StopSignal;
use tokio::runtime;
use uuid::Uuid;

/// A call allocates hundreds of small pieces of memory and frees them on other threads, which costs a tenth of its time with
/// the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the runtime may take to end blocking work at exit.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Exit code after arguments that cannot be used, as in sysexits.h.
const USAGE: u8 = 64;

/// The back end of live chat: conversations, assignment, bots, transcripts.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// A TOML file with settings. Environment variables (FRONTDESK__SECTION__KEY) override it.
    #[arg(long, global = true, env = "FRONTDESK_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs services until SIGTERM or Ctrl-C.
    Serve {
        /// The services to run.
        #[arg(default_value = "all")]
        target: serve::Target,
    },
    /// Brings every database up to date, creates or checks the broker's streams and consumers, and exits. Run it before the
    /// replicas start.
    Migrate,
    /// Lists, shows and replays dead letters: events that a consumer gave up.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Lists administrative calls of an account, of all services, newest first: when, by whom, which method, on which
    /// resources, with which outcome.
    Audit(audit::Audit),
    /// Shows the events of an account as they are published, until it is stopped.
    Tail(tail::Tail),
    /// Looks at settings, databases, broker, mail server, issuers, keys, certificates, clock, time zones and disk, and says what is wrong
    /// and what to do. It changes nothing. Exit code: 0 without warnings and failures, 1 with warnings only, 2 with failures.
    Doctor(Examination),
    /// Prints the effective settings as a file for --config. Those with a secret are comments, in which it is hidden; optional
    /// settings without a value are left out: identity.development_key and databases.*.max_connections.
    Config,
    /// Mints a token with the development key.
    Token(token::Arguments),
    /// Plays two chats through the public API and checks the results.
    Demo {
        /// Address of a running server, such as http://127.0.0.1:7700. Default: the server at the configured address, or a
        /// new one.
        #[arg(long)]
        address: Option<String>,
    },
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let _kill_points = fail::FailScenario::setup();
    fail::fail_point!("started", |_| std::process::abort());
    // Every TLS connection of the process uses this provider; without a choice the first one would panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    frontdesk::data_folder::restrict_new_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // The texts of --help and --version come this way too, and are no error.
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    // At least two workers: flushing traces at exit blocks one and needs another.
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = runtime.block_on(run(cli));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    match ended {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    match error.downcast_ref::<tonic::Status>() {
        // A status that the server sent has no source.
        Some(status) if status.source().is_some() => {
            eprintln!(
                "frontdesk: the connection to the server was lost ({}). Does it still run? Its log tells why it ended",
                status.message()
            );
        }
        // Its own text has the metadata and details too.
        Some(status) => eprintln!("frontdesk: the server answered {:?}: {}", status.code(), status.message()),
        None => eprintln!("frontdesk: {error}"),
    }
    ExitCode::FAILURE
}

/// Parses a UUID of the command line.
fn uuid(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "it must be a UUID, such as 0192f3a4-5b6c-7d8e-9f01-23456789abcd")
}

/// Parses a duration of the command line.
fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "it must be a duration with a unit, such as 90m, 24h or 30days")
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let load = || {
        for (variable, setting) in Settings::misspelt_variables() {
            eprintln!("frontdesk: warning: {variable} is not used: did you mean {setting}?");
        }
        Settings::load(cli.config.as_deref())
    };
    let ended: Result<(), Failure> = match cli.command {
        Command::Doctor(examination) => {
            let report = examination.run(Settings::load(cli.config.as_deref())).await;
            match examination.json {
                true => println!("{}", report.json()),
                false => print!("{report}"),
            }
            return Ok(ExitCode::from(report.exit_code()));
        }
        Command::Serve { target } => {
            let stop = StopSignal::listen()?;
            serve::run(load()?, target, cli.config.as_deref(), stop).await
        }
        Command::Migrate => {
            let stop = StopSignal::listen()?;
            migrate(load()?, stop).await
        }
        Command::DeadLetters(command) => dead_letters::run(&load()?, command).await,
        Command::Audit(audit) => audit::run(&load()?, audit).await,
        Command::Tail(tail) => tail::run(&load()?, tail).await,
        Command::Config => {
            println!("# Time zones are those of release {} of the IANA data.", frontdesk_time_zone::version());
            print!("{}", config::text(&load()?)?);
            Ok(())
        }
        Command::Token(arguments) => token::run(&load()?, arguments),
        Command::Demo { address } => demo::run(load()?, address).await,
    };
    ended.map(|()| ExitCode::SUCCESS)
}

async fn migrate(settings: Settings, stop: StopSignal) -> Result<(), Failure> {
    let broker = if settings.is_distributed() { ", and the broker has every stream and consumer" } else { "" };
    let migrating = async { Server::open(settings, &Service::ALL).await?.migrate().await };
    let migrated = stop.interrupting(migrating).await;
    migrated.ok_or("stopped before everything was up to date; run it again")??;
    println!("Every database is up to date{broker}.");
    Ok(())
}
