//! Accepts connections within their limits and shakes hands with each in a task of its own.

use std::{io, net::SocketAddr, time::Duration};

use frontdesk_transport::Tls;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{
    connection::Connection,
    connection_limits::ConnectionLimits,
    handshake::{Handshake, Protocols},
};
use crate::LimitSettings;

/// Maximum time from accepting a connection to its first HTTP/2 frame, or to its first bytes of HTTP/1.1.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept: without a free file descriptor the next attempt would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts connections and sends those that are ready for calls to `ready`; never returns.
pub(super) async fn accept_connections(
    listener: TcpListener,
    limits: LimitSettings,
    tls: Option<Tls>,
    protocols: Protocols,
    ready: mpsc::Sender<Connection>,
) {
    let connections = ConnectionLimits::new(limits.connections, limits.connections_per_address);
    let handshake = Handshake { tls, protocols, limit_control_frames: limits.control_frames };
    loop {
        let (stream, address) = accept(&listener).await;
        let Some(permit) = connections.try_acquire(address) else { continue };
        let (handshake, ready) = (handshake.clone(), ready.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake.run(stream, permit)).await {
                Ok(Ok(connection)) => drop(ready.send(connection).await),
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake timed out"),
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client closed the connection before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted now");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}
