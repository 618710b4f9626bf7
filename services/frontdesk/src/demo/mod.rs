//! `frontdesk demo`: two chats through the public gRPC API, shown as they happen, with every promise checked.

mod clients;
mod silent;
mod taken_over;

use std::{fmt::Display, time::Duration};

use frontdesk::{Server, ServerChannel, Service, Settings, WebSettings, dev};
use frontdesk_auth::DevelopmentKey;
use frontdesk_clock::testing::new_id;
use frontdesk_db::AccountId;
use tokio::net::TcpListener;

use crate::Failure;
use clients::Account;

/// How long a step may take that happens without a call of the demo.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long connecting to a running server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const NEEDS_DEVELOPMENT_KEY: &str = "the demo needs the development key, which these settings do not accept";

/// Plays against the server at `address`, else at the addresses of the settings' peers, else at the configured address, else
/// against a new server.
pub(crate) async fn run(settings: Settings, address: Option<String>) -> Result<(), Failure> {
    let configured = format!("http://{}", settings.listen);
    let (channel, place) = match address {
        Some(address) => {
            let channel = ServerChannel::at(&address)?;
            if !answers(&address, Duration::ZERO).await {
                return Err(format!("no server answers at {address}; start one with `make run`").into());
            }
            (channel, address)
        }
        None if !settings.peers.conversation.is_empty() => {
            let channel = ServerChannel::to_peers(&settings)?;
            for service in Service::ALL {
                let addresses = settings.peers.get(service);
                if !answers(addresses, STEP_TIMEOUT).await {
                    let setting = service.setting();
                    return Err(format!("no server answers at peers.{setting} = {addresses:?}; start it first").into());
                }
            }
            (channel, format!("{} and its peers", settings.peers.conversation))
        }
        None if tokio::net::TcpStream::connect(settings.listen).await.is_ok() => {
            (ServerChannel::at(&configured)?, configured)
        }
        None => return on_new_server(settings).await,
    };
    println!("Playing against the server at {place}.");
    if !settings.identity.accepts_development_key() {
        return Err(NEEDS_DEVELOPMENT_KEY.into());
    }
    let file = Server::key_file(&settings);
    if !file.exists() {
        let file = file.display();
        return Err(format!("there is no {file}: run the demo with the data_folder of the server at {place}").into());
    }
    play(channel, &DevelopmentKey::load_or_create(&file, &dev::clock(&settings)?)?).await
}

/// Whether a process listens at an address such as `http://127.0.0.1:7700`, or at one of several separated by commas; asks
/// again for this long, because it may be starting.
async fn answers(addresses: &str, patience: Duration) -> bool {
    let give_up = tokio::time::Instant::now() + patience;
    loop {
        for address in addresses.split(',') {
            if is_open(address.trim()).await {
                return true;
            }
        }
        if tokio::time::Instant::now() >= give_up {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn is_open(address: &str) -> bool {
    let Ok(uri) = address.parse::<http::Uri>() else { return false };
    let (host, port) = (uri.host().unwrap_or_default().trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let connecting = tokio::net::TcpStream::connect((host, port));
    matches!(tokio::time::timeout(CONNECT_TIMEOUT, connecting).await, Ok(Ok(_)))
}

async fn on_new_server(settings: Settings) -> Result<(), Failure> {
    // Kept after the demo, so that the user can look at the mail.
    let folder = std::env::temp_dir().join(format!("frontdesk-demo-{}", new_id()));
    println!("No server runs; starting a new one on the data folder {}.", folder.display());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let channel = ServerChannel::at(&format!("http://{}", listener.local_addr()?))?;
    let server =
        Server::open(Settings { data_folder: folder, web: WebSettings::default(), ..settings }, &Service::ALL).await?;
    let key = server.development_key().cloned().ok_or(NEEDS_DEVELOPMENT_KEY)?;
    let shutdown = server.shutdown();
    let serving = tokio::spawn(server.serve(listener));
    let played = play(channel, &key).await;
    shutdown.cancel();
    serving.await??;
    played
}

async fn play(channel: ServerChannel, key: &DevelopmentKey) -> Result<(), Failure> {
    // An account of its own, so that the demo changes no other data.
    let account = Account::new(channel, key, AccountId(new_id()));
    heading("Setting up");
    let fixture = account.set_up().await?;
    heading("Chat 1: a bot greets, an agent takes over, the transcript is mailed");
    taken_over::play(&account, &fixture).await?;
    heading("Chat 2: the visitor stays silent, the bot session's timeout closes it");
    silent::play(&account, &fixture).await?;
    println!("\nEvery promise was kept.");
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.chars().count()));
}

fn step(actor: &str, action: impl Display) {
    println!("{actor:>9}  {action}");
}

/// Prints that a rule holds, or fails.
fn check(rule: &str, promise: &str, holds: bool) -> Result<(), Failure> {
    if holds {
        println!("{:>9}  {rule}: {promise}", "ok");
        Ok(())
    } else {
        Err(format!("{rule} does not hold: {promise}").into())
    }
}

/// Asks repeatedly until there is an answer.
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
    tokio::time::timeout(STEP_TIMEOUT, asking).await.map_err(|_| format!("waited {STEP_TIMEOUT:?} for {what}"))?
}
