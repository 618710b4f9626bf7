//! Connections: limits on their number, the handshake within a deadline, TLS, the service at the other end, and the limit on control
//! frames.

mod accept;
mod call_task;
mod connection;
mod connection_limits;
mod control_frames;
mod handshake;
mod serve;

use frontdesk_transport::{InProcessListener, Tls};
use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use self::accept::accept_connections;
pub use self::connection::PeerInfo;
#[cfg(test)]
pub(crate) use self::serve::HTTP1_HEAD_TIMEOUT;
pub(crate) use self::{
    call_task::{reset_at, reset_when},
    connection::Connection,
    handshake::Protocols,
    serve::{ConnectionSettings, serve_connections},
};
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
) -> impl Stream<Item = Connection> + Send + use<> {
    let accepted = accepted(listener, limits, tls, Protocols::Http2, shutdown);
    stream::select(accepted, stream::iter(in_process).flat_map(in_process_connections))
}

fn in_process_connections(listener: InProcessListener) -> impl Stream<Item = Connection> + Send {
    stream::unfold(listener, |mut listener| async move {
        let connection = Connection::in_process(listener.accept().await?);
        Some((connection, listener))
    })
}

/// The connections that `listener` accepts until the shutdown, once they are ready for calls.
pub(crate) fn accepted(
    listener: TcpListener,
    limits: &LimitSettings,
    tls: Option<Tls>,
    protocols: Protocols,
    shutdown: CancellationToken,
) -> impl Stream<Item = Connection> + Send + use<> {
    let (ready, accepted) = mpsc::channel(BACKLOG);
    let accept = accept_connections(listener, limits.clone(), tls, protocols, ready);
    // In the task that serves the connections, so that a panic ends the server and not only the listener.
    let accept = shutdown.run_until_cancelled_owned(accept).into_stream().filter_map(async |_| None);
    stream::select(ReceiverStream::new(accepted), accept)
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc, time::Duration};

    use frontdesk_transport::InProcessConnector;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::Instant,
    };
    use tonic::transport::server::Connected;

    use super::*;

    /// The preface and the header of an empty SETTINGS frame.
    const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    async fn listen(
        limits: LimitSettings,
        in_process: Option<InProcessListener>,
    ) -> (mpsc::Receiver<Connection>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = incoming(in_process, listener, &limits, None, CancellationToken::new());
        let (ready, connections) = mpsc::channel(BACKLOG);
        tokio::spawn(incoming.for_each(move |connection| {
            let ready = ready.clone();
            async move { drop(ready.send(connection).await) }
        }));
        (connections, address)
    }

    async fn open(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(OPENING).await.unwrap();
        stream
    }

    async fn is_closed(mut stream: TcpStream) -> bool {
        matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn s4_connections_over_the_limit_are_closed_and_one_that_ends_makes_room() {
        let (mut incoming, address) = listen(LimitSettings { connections: 1, ..LimitSettings::default() }, None).await;
        let _client = open(address).await;
        let connection = incoming.recv().await.unwrap();
        assert!(is_closed(open(address).await).await);
        drop(connection);
        let _client = open(address).await;
        assert!(incoming.recv().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_client_that_sends_nothing_is_closed_and_does_not_delay_others() {
        let (mut incoming, address) = listen(LimitSettings::default(), None).await;
        let (silent, connected) = (TcpStream::connect(address).await.unwrap(), Instant::now());
        let _client = open(address).await;
        assert!(incoming.recv().await.is_some());
        assert!(is_closed(silent).await);
        assert!(connected.elapsed() < Duration::from_secs(6));
    }

    #[tokio::test]
    async fn s5_a_connection_within_the_process_names_its_service() {
        let (connector, listener) = InProcessConnector::new();
        let (mut incoming, address) = listen(LimitSettings::default(), Some(listener)).await;
        let _client = connector.connect(&Arc::from("conversation")).await.unwrap();
        let connection = incoming.recv().await.unwrap();
        assert_eq!(connection.connect_info().service.as_deref(), Some("conversation"));
        let _client = open(address).await;
        let connection = incoming.recv().await.unwrap();
        assert_eq!(
            connection.connect_info().service,
            None,
            "a connection from outside names none without a certificate"
        );
    }
}
