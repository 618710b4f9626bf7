//! Opens a TCP connection to the mail server: each address of its name is tried.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Resolves a host name and a port to addresses, in the order in which they are tried.
pub(super) type Resolver = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Returns the resolver of the system.
pub(super) fn system_resolver() -> Resolver {
    Arc::new(|host, port| {
        Box::pin(async move {
            let host = host.trim_matches(['[', ']']).to_owned();
            Ok(lookup_host((host, port)).await?.collect())
        })
    })
}

/// Returns the addresses of the server. An error says what to check.
pub(super) async fn resolve(
    resolver: &Resolver,
    host: &str,
    port: u16,
    within: Duration,
) -> Result<Vec<SocketAddr>, String> {
    match timeout(within, resolver(host.to_owned(), port)).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(format!("{host} has no address")),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(format!("{host} cannot be resolved: {error}")),
        Err(_) => Err(format!("{host} was not resolved within {within:?}")),
    }
}

/// Connects to the first address that answers. Each has an equal share of the time: a silent one, such as an IPv6 address without
/// a route, does not use up that of the next.
pub(super) async fn connect(addresses: &[SocketAddr], within: Duration) -> Result<TcpStream, String> {
    let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failures = Vec::new();
    for address in addresses {
        let connected = timeout(share, TcpStream::connect(address)).await;
        // Nagle's algorithm would delay each mail by the server's delayed acknowledgement (40 ms).
        let error = match connected.map(|stream| stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream))) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {share:?}"),
        };
        failures.push(format!("{address}: {error}"));
    }
    Err(failures.join("; "))
}
