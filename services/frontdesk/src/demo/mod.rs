//! `frontdesk demo`: two chats through the public gRPC API, shown as they happen, with every promise checked.

mod clients;
mod silent;
mod taken_over;

use std::{fmt::Display, time::Duration};

use frontdesk::{Service, Settings, Suite, SuiteChannel};
use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::Clock;
use tokio::net::TcpListener;

use crate::Failure;
use clients::Account;

/// So long a step may take that goes on by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays against the suite at `address`, else at the addresses of the settings' peers, else at the configured one, else
/// against a fresh one.
pub(crate) async fn run(settings: Settings, address: Option<String>) -> Result<(), Failure> {
    let configured = format!("http://{}", settings.listen);
    let (channel, place) = match address {
        Some(address) => (SuiteChannel::at(&address)?, address),
        None if !settings.peers.conversation.is_empty() => {
            (SuiteChannel::to_peers(&settings)?, format!("{} and its peers", settings.peers.conversation))
        }
        None if tokio::net::TcpStream::connect(settings.listen).await.is_ok() => {
            (SuiteChannel::at(&configured)?, configured)
        }
        None => return on_a_fresh_suite(settings).await,
    };
    println!("Playing against the suite at {place}.");
    let clock = frontdesk_clock::development::clock_from_file(&settings.data_folder.join("clock-offset"))?;
    let key = Suite::key_file(&settings);
    if !settings.identity.accepts_development_key() {
        return Err("the demo plays with the development key, which these settings do not accept".into());
    }
    if !key.exists() {
        let key = key.display();
        return Err(format!("{key} is not there: run the demo with the data_folder of the suite at {place}").into());
    }
    play(channel, &DevelopmentKey::load_or_create(&key, &clock)?).await
}

async fn on_a_fresh_suite(settings: Settings) -> Result<(), Failure> {
    // Kept after the demo: the mail in it is there to be looked at.
    let folder = std::env::temp_dir().join(format!("frontdesk-demo-{}", frontdesk_clock::testing::new_id()));
    println!("No suite runs; starting a fresh one on the data folder {}.", folder.display());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let channel = SuiteChannel::at(&format!("http://{}", listener.local_addr()?))?;
    let suite = Suite::open(Settings { data_folder: folder, ..settings }, &Service::ALL).await?;
    let keys =
        suite.keys().cloned().ok_or("the demo plays with the development key, which these settings do not accept")?;
    let shutdown = suite.shutdown();
    let serving = tokio::spawn(suite.serve(listener));
    let played = play(channel, &keys).await;
    shutdown.cancel();
    serving.await??;
    played
}

async fn play(channel: SuiteChannel, keys: &DevelopmentKey) -> Result<(), Failure> {
    // An account of its own: the demo meets nothing that others made.
    let account = Account::open(channel, keys, frontdesk_clock::testing::new_id());
    heading("Setting up");
    let shop = account.set_up().await?;
    heading("Chat 1: a bot greets, a person takes over, the transcript is mailed");
    taken_over::play(&account, &shop).await?;
    heading("Chat 2: the visitor falls silent, the bot session's timeout closes it");
    silent::play(&account, &shop).await?;
    println!("\nEverything came out as promised.");
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.chars().count()));
}

fn step(who: &str, what: impl Display) {
    println!("{who:>9}  {what}");
}

/// What a rule promises, by its name.
fn promise(rule: &str, what: &str, holds: bool) -> Result<(), Failure> {
    if holds {
        println!("{:>9}  {rule}: {what}", "ok");
        Ok(())
    } else {
        Err(format!("{rule} does not hold: {what}").into())
    }
}

/// Asks until there is an answer.
async fn wait_for<T, F, R>(what: &str, ask: F) -> Result<T, Failure>
where
    F: Fn() -> R,
    R: Future<Output = Result<Option<T>, Failure>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.map_err(|_| format!("waited {PATIENCE:?} in vain for {what}"))?
}
