//! `frontdesk`: the one binary.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod audit;
mod dead_letters;
mod demo;

use std::{
    error::Error,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, ValueEnum};
use frontdesk::{Service, Settings, Suite};
use frontdesk_auth::{CallerKind, DevelopmentKey};
use frontdesk_clock::Clock;
use frontdesk_db::AccountId;
use tokio::{net::TcpListener, runtime, signal::unix::SignalKind};
use uuid::Uuid;

/// A call makes hundreds of small pieces of memory, freed by whichever worker comes next: the system's allocator spends a tenth
/// of our time on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The account of tokens that are minted without naming one.
const DEVELOPMENT_ACCOUNT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// The back end of live chat: conversations, assignment, bots, transcripts.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// A TOML file with settings. The environment (FRONTDESK__SECTION__KEY) wins over it.
    #[arg(long, global = true, env = "FRONTDESK_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs services until it is told to stop (SIGTERM or Ctrl-C).
    Serve {
        /// Which.
        #[arg(default_value = "all")]
        target: Target,
    },
    /// Brings every database up to date, makes or checks the broker's streams and consumers, and ends. Before replicas start.
    Migrate,
    /// Events that a consumer gave up: lists them, shows one, brings it to the consumer again.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Administrative calls of an account, of all services, newest first: who, when, what, for which things, how it ended.
    Audit(audit::Audit),
    /// Prints the settings as they apply, secrets hidden.
    Config,
    /// Mints a token with the development key.
    Token(TokenArguments),
    /// Plays two chats through the public API and checks what comes of them.
    Demo {
        /// A running suite, such as http://127.0.0.1:7700. Without it: the one on the configured address, else a fresh one.
        #[arg(long)]
        address: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// All services in this process.
    All,
    /// One service in this process, beside others like it: needs PostgreSQL, NATS, and the addresses of the others.
    Conversation,
    /// The same.
    Assignment,
    /// The same.
    BotSession,
    /// The same.
    Notification,
}

impl Target {
    fn services(self) -> &'static [Service] {
        match self {
            Self::All => &Service::ALL,
            Self::Conversation => &[Service::Conversation],
            Self::Assignment => &[Service::Assignment],
            Self::BotSession => &[Service::BotSession],
            Self::Notification => &[Service::Notification],
        }
    }
}

#[derive(clap::Args)]
struct TokenArguments {
    /// What the caller is.
    #[arg(long, default_value = "admin")]
    kind: TokenKind,
    /// The account's UUID.
    #[arg(long, default_value_t = DEVELOPMENT_ACCOUNT)]
    account: Uuid,
    /// Who the caller is: a UUID for agents, your own word for visitors and administrators. Made up if left out.
    #[arg(long)]
    subject: Option<String>,
    /// The caller's name.
    #[arg(long)]
    name: Option<String>,
    /// An address that the token vouches for (visitors).
    #[arg(long)]
    email: Option<String>,
    /// How long it is valid.
    #[arg(long, default_value = "12h", value_parser = humantime::parse_duration)]
    valid: Duration,
}

#[derive(Clone, Copy, ValueEnum)]
enum TokenKind {
    /// A person in the widget.
    Visitor,
    /// A team member.
    Agent,
    /// The account's administrator.
    Admin,
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    // Every TLS connection of the process uses this provider; without a choice the first one would panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    // At least two workers: flushing traces at the end waits for work that another one does.
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = runtime.block_on(run(cli));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("frontdesk: {error}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let settings = Settings::load(cli.config.as_deref())?;
    match cli.command {
        Command::Serve { target } => serve(settings, target, cli.config.as_deref()).await,
        Command::Migrate => {
            let broker = settings.is_distributed();
            Suite::open(settings, &Service::ALL).await?.migrate().await?;
            println!(
                "Every database is up to date{}.",
                if broker { ", and the broker has every stream and consumer" } else { "" }
            );
            Ok(())
        }
        Command::DeadLetters(command) => dead_letters::run(&settings, command).await,
        Command::Audit(audit) => audit::run(&settings, audit).await,
        Command::Config => {
            print!("{}", toml::to_string(&settings)?);
            Ok(())
        }
        Command::Token(arguments) => token(&settings, arguments),
        Command::Demo { address } => demo::run(settings, address).await,
    }
}

async fn serve(settings: Settings, target: Target, config: Option<&Path>) -> Result<(), Failure> {
    let telemetry = frontdesk_telemetry::start(&settings.telemetry)?;
    let listen = settings.listen;
    let folder = settings.data_folder.clone();
    let suite = Suite::open(settings, target.services()).await?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot listen on {listen}: {error}; stop who does, or set FRONTDESK__LISTEN to another address such as 127.0.0.1:7701")
    })?;
    let address = listener.local_addr()?;
    greet(address, target, &folder, config, suite.keys().is_some());
    let shutdown = suite.shutdown();
    tokio::spawn(async move {
        let mut terminate = match tokio::signal::unix::signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => return tracing::error!(%error, "SIGTERM cannot be heard"),
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
    });
    suite.serve(listener).await?;
    telemetry.shutdown().await;
    Ok(())
}

fn greet(address: std::net::SocketAddr, target: Target, folder: &Path, config: Option<&Path>, development: bool) {
    let names: Vec<&str> = target.services().iter().map(|service| service.name()).collect();
    println!("Frontdesk serves gRPC on {address} ({}; health, reflection).", names.join(", "));
    println!("Data, keys and the mailbox are in {}.", folder.display());
    if let Some(config) = config {
        println!("Settings are from {}.", config.display());
    }
    if !development {
        return;
    }
    println!();
    println!("A token:    frontdesk token --kind admin    (or: agent, visitor; see frontdesk token --help)");
    println!("Try next:   make demo                       (two chats, from the greeting to the mailbox)");
    println!("Look in:    buf curl --http2-prior-knowledge --protocol grpc --list-methods http://{address}");
    println!("Stop:       Ctrl-C");
}

fn token(settings: &Settings, arguments: TokenArguments) -> Result<(), Failure> {
    let kind = match arguments.kind {
        TokenKind::Visitor => CallerKind::Visitor,
        TokenKind::Agent => CallerKind::Agent,
        TokenKind::Admin => CallerKind::Admin,
    };
    if !settings.identity.accepts_development_key() {
        let why = "these settings accept tokens of identity.issuers only, not of the development key that signs here";
        return Err(why.into());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&settings.data_folder)?;
    let clock = frontdesk_clock::development::clock_from_file(&settings.data_folder.join("clock-offset"))?;
    let keys = DevelopmentKey::load_or_create(&Suite::key_file(settings), &clock)?;
    let subject = arguments.subject.unwrap_or_else(|| clock.new_id().to_string());
    let mut claims = keys.claims(AccountId(arguments.account), kind, &subject, arguments.valid);
    claims.name = arguments.name;
    claims.email = arguments.email;
    let token = keys.mint(&claims)?;
    // What a server would refuse is said now.
    keys.verify(&token)?;
    println!("{token}");
    eprintln!(
        "({} {subject} of account {}, for {})",
        kind.as_str(),
        arguments.account,
        humantime::format_duration(arguments.valid)
    );
    Ok(())
}
