//! `frontdesk serve`: runs services until SIGTERM or Ctrl-C.

use std::{net::SocketAddr, path::Path};

use clap::ValueEnum;
use frontdesk::{Server, Service, Settings};
use tokio::net::TcpListener;

use crate::{Failure, stop_signal::StopSignal};

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// All services in this process.
    All,
    /// One service in this process, beside processes for the others: needs PostgreSQL, NATS, and the addresses of its peers.
    Conversation,
    /// As above.
    Assignment,
    /// As above.
    BotSession,
    /// As above.
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

pub(crate) async fn run(
    settings: Settings,
    target: Target,
    config: Option<&Path>,
    stop: StopSignal,
) -> Result<(), Failure> {
    let telemetry = frontdesk_telemetry::start(&settings.telemetry)?;
    let (listen, ops, folder) = (settings.listen, settings.ops.listen, settings.data_folder.clone());
    let web = settings.web.url(target.services(), &settings.tls);
    let config = config.map(Path::to_owned);
    let Some(server) = stop.interrupting(Server::open(settings, target.services())).await else {
        telemetry.shutdown().await;
        return Ok(());
    };
    let server = server?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot listen on {listen}: {error}; stop the process that does, or set FRONTDESK__LISTEN to another address such as 127.0.0.1:7701")
    })?;
    let (address, has_development_key) = (listener.local_addr()?, server.development_key().is_some());
    let has_pages = server.has_example_pages();
    stop.cancel(server.shutdown());
    let announce = move || {
        print_addresses(address, web.as_deref(), ops, target);
        print_files(&folder, config.as_deref());
        if has_development_key {
            print_next_steps(address, config.as_deref());
            if let (Some(web), Some(has_pages)) = (&web, has_pages) {
                print_pages(web, has_pages);
            }
            println!("Stop:       Ctrl-C");
        }
    };
    server.serve_announced(listener, announce).await?;
    telemetry.shutdown().await;
    Ok(())
}

fn print_addresses(address: SocketAddr, web: Option<&str>, ops: Option<SocketAddr>, target: Target) {
    let names: Vec<&str> = target.services().iter().map(|service| service.name()).collect();
    println!("Frontdesk serves gRPC on {address} ({}; health, reflection).", names.join(", "));
    if let Some(web) = web {
        println!("Browsers call it at {web} (gRPC-Web).");
    }
    if let Some(ops) = ops {
        println!("Probes and metrics are at http://{ops} (/livez, /readyz, /metrics).");
    }
}

fn print_files(folder: &Path, config: Option<&Path>) {
    println!("Data, keys and the mailbox are in {}.", folder.display());
    if let Some(config) = config {
        println!("Settings are from {}.", config.display());
    }
}

fn print_next_steps(address: SocketAddr, config: Option<&Path>) {
    let command = command_with_these_settings(config);
    println!();
    println!("A token:    {command} token --kind admin    (or: agent, visitor)");
    println!("Try next:   {command} demo    (two chats, from the greeting to the mail)");
    println!("Look in:    buf curl --http2-prior-knowledge --protocol grpc --list-methods http://{address}");
}

fn print_pages(web: &str, are_built: bool) {
    match are_built {
        true => println!("In browsers: {web}/    (a widget and an inbox, as an example)"),
        false => {
            println!("In browsers: `make web`, and start again    (a widget and an inbox, as an example, at {web}/)")
        }
    }
}

/// How to start this program again, in another terminal, with the settings that `token` and `demo` share with the server.
fn command_with_these_settings(config: Option<&Path>) -> String {
    let mut words: Vec<String> = ["FRONTDESK__LISTEN", "FRONTDESK__DATA_FOLDER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| format!("{name}={value}")))
        .collect();
    words.push(std::env::args().next().unwrap_or_else(|| "frontdesk".into()));
    if let Some(config) = config {
        words.push(format!("--config {}", config.display()));
    }
    words.join(" ")
}
