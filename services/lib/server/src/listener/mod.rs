//! Connections: how many are accepted, the handshake within a deadline, TLS, who is at the other end, and how many control frames a
//! client may send.

mod accept;
mod connection;
mod connection_limits;
mod control_frames;
mod handshake;

use std::io;

use frontdesk_transport::{InProcessListener, Tls};
use futures::{Stream, StreamExt, stream};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

pub use self::connection::PeerInfo;
use self::{accept::accept_connections, connection::Connection};
use crate::LimitSettings;

/// Maximum number of connections that are ready and wait for the server to take them.
const BACKLOG: usize = 64;

/// The connections that are ready for calls: those from this process, and those that `listener` accepts until the shutdown.
pub(crate) fn incoming(
    in_process: Option<InProcessListener>,
    listener: TcpListener,
    limits: &LimitSettings,
    tls: Option<Tls>,
    shutdown: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + Send + use<> {
    let (ready, accepted) = mpsc::channel(BACKLOG);
    tokio::spawn(shutdown.run_until_cancelled_owned(accept_connections(listener, limits.clone(), tls, ready)));
    let in_process = stream::iter(in_process).flat_map(|listener| {
        stream::unfold(listener, |mut listener| async move {
            let connection = Connection::in_process(listener.accept().await?);
            Some((connection, listener))
        })
    });
    stream::select(ReceiverStream::new(accepted), in_process).map(Ok)
}
