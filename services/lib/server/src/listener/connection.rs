//! A connection that carries calls.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use frontdesk_transport::InProcessConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};
use tonic::transport::server::Connected;

use super::{connection_limits::ConnectionPermit, control_frames::ControlFrameLimiter};
use crate::admission::ConnectionId;

/// How long a client may take until it reads any more of what it was sent: as long as HTTP/2 waits for the answer to a ping, which
/// HTTP/1.1 does not have.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub struct PeerInfo {
    /// The service that its certificate names, or that runs in this process.
    pub service: Option<Arc<str>>,
    /// Its address; of IPv6 the /64 network. None: it is in this process.
    pub address: Option<IpAddr>,
    /// Cancel it to close the connection.
    pub close: CancellationToken,
    /// Whether one of its calls had a valid token. Clones share it.
    pub(crate) is_authenticated: Arc<AtomicBool>,
    /// Its id.
    pub(crate) id: ConnectionId,
}

/// A connection's bytes.
pub(super) type Stream = Either<TcpStream, Either<Box<TlsStream<TcpStream>>, DuplexStream>>;

/// A connection that carries calls.
pub(crate) struct Connection {
    stream: Stream,
    /// Bytes that the handshake read and HTTP/2 has still to read.
    unread: Vec<u8>,
    unread_from: usize,
    /// None: control frames are not limited.
    control_frames: Option<ControlFrameLimiter>,
    peer: PeerInfo,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs while the client reads nothing of what was sent. None: it reads.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the tasks that were ready before the next write have run.
    may_write: bool,
    _permit: Option<ConnectionPermit>,
}

impl Connection {
    /// A connection after its handshake, which read `unread`.
    pub(super) fn new(
        stream: Stream,
        unread: Vec<u8>,
        control_frames: Option<ControlFrameLimiter>,
        service: Option<Arc<str>>,
        permit: Option<ConnectionPermit>,
    ) -> Self {
        let address = permit.as_ref().map(ConnectionPermit::address);
        let peer = PeerInfo { service, address, ..PeerInfo::default() };
        let closed = Box::pin(peer.close.clone().cancelled_owned());
        Self {
            stream,
            unread,
            unread_from: 0,
            control_frames,
            peer,
            closed,
            stalled: None,
            may_write: false,
            _permit: permit,
        }
    }

    /// A connection of a service in this process.
    pub(super) fn in_process(connection: InProcessConnection) -> Self {
        let stream = Either::Right(Either::Right(connection.stream));
        Self::new(stream, Vec::new(), None, Some(connection.service), None)
    }

    /// Fails once the connection is closed from its [`PeerInfo`].
    fn check_open(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.closed.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// The result of a write. Fails instead of waiting once the client has read nothing for too long.
    fn unless_stalled<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        ready!(timeout.as_mut().poll(context));
        tracing::warn!("closed a connection: its client does not read what it is sent");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let unread = &this.unread[this.unread_from..];
        if !unread.is_empty() {
            let length = unread.len().min(buffer.remaining());
            buffer.put_slice(&unread[..length]);
            this.unread_from += length;
            return Poll::Ready(Ok(()));
        }
        this.check_open(context)?;
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if let Some(limiter) = &mut this.control_frames
            && limiter.received(&buffer.filled()[filled..], Instant::now()).is_err()
        {
            tracing::warn!("closed a connection: its client sends too many control frames");
            // A failed read must leave the buffer as it was.
            buffer.set_filled(filled);
            return Poll::Ready(Err(io::Error::other("too many control frames")));
        }
        Poll::Ready(Ok(()))
    }
}

// Without vectored writes: with them HTTP/2 writes each frame of 256 bytes or more by itself instead of collecting small frames.
impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // A client of HTTP/1.1 that pipelines requests and reads no answer is not read from.
        this.check_open(context)?;
        // What other tasks that are ready now send goes out with the same system call: the entry that a thousand streams send, or the
        // answers to a group of messages that was committed.
        if !std::mem::replace(&mut this.may_write, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        let written = ready!(this.unless_stalled(written, context))?;
        if let Some(limiter) = &mut this.control_frames {
            limiter.sent(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.may_write = false;
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.unless_stalled(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = Pin::new(&mut this.stream).poll_shutdown(context);
        this.unless_stalled(shut_down, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A connection after a handshake that read `unread`, and its client.
    fn connection(unread: &[u8], control_frames: Option<ControlFrameLimiter>) -> (Connection, DuplexStream) {
        let (client, server) = tokio::io::duplex(1024 * 1024);
        let stream = Either::Right(Either::Right(server));
        (Connection::new(stream, unread.to_vec(), control_frames, None, None), client)
    }

    /// A PING frame; its payload is eight bytes.
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn what_the_handshake_read_is_read_first() {
        let (mut connection, mut client) = connection(b"first", None);
        client.write_all(b" then").await.unwrap();
        client.shutdown().await.unwrap();
        let mut start = [0; 2];
        connection.read_exact(&mut start).await.unwrap();
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).await.unwrap();
        assert_eq!([&start[..], &rest].concat(), b"first then");
    }

    #[tokio::test]
    async fn s4_a_connection_is_closed_from_its_peer_info() {
        let (mut connection, _client) = connection(b"", None);
        let peer = connection.connect_info();
        let mut buffer = [0; 1];
        let mut read = std::pin::pin!(connection.read(&mut buffer));
        assert!(futures::poll!(&mut read).is_pending());
        peer.close.cancel();
        assert_eq!(read.await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(connection.write(b"answer").await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn s4_a_connection_that_floods_is_closed_where_control_frames_are_limited() {
        for limited in [true, false] {
            let limiter = limited.then(|| ControlFrameLimiter::new(&[], Instant::now()));
            let (mut connection, mut client) = connection(b"", limiter);
            client.write_all(&PING.repeat(3_000)).await.unwrap();
            client.shutdown().await.unwrap();
            let mut received = Vec::new();
            assert_eq!(connection.read_to_end(&mut received).await.is_err(), limited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_connection_whose_client_reads_nothing_is_closed() {
        let (mut connection, mut client) = connection(b"", None);
        let (began, answer) = (tokio::time::Instant::now(), vec![7; 2 * 1024 * 1024]);
        let mut read = vec![0; 1024 * 1024];
        // A slow client is served.
        let slow = async {
            tokio::time::sleep(WRITE_TIMEOUT / 2).await;
            client.read_exact(&mut read).await.unwrap();
        };
        let (written, ()) = tokio::join!(connection.write_all(&answer), slow);
        written.unwrap();
        let error = connection.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), WRITE_TIMEOUT / 2 + WRITE_TIMEOUT);
    }

    #[tokio::test]
    async fn c10_the_first_write_after_a_flush_waits_for_tasks_that_are_ready() {
        let (mut connection, _client) = connection(b"", None);
        for _ in 0..2 {
            let mut first = std::pin::pin!(connection.write(b"answer"));
            assert!(futures::poll!(&mut first).is_pending());
            assert_eq!(first.await.unwrap(), 6);
            let mut second = std::pin::pin!(connection.write(b"another"));
            assert!(futures::poll!(&mut second).is_ready());
            connection.flush().await.unwrap();
        }
    }

    #[tokio::test]
    async fn s4_data_that_is_sent_adds_tokens() {
        let limiter = ControlFrameLimiter::new(&[], Instant::now());
        let (mut connection, mut client) = connection(b"", Some(limiter));
        // DATA frames of 32 bytes in two writes, and a PING for each.
        let header = [0, 0, 23, 0, 0, 0, 0, 0, 1];
        for _ in 0..3_000 {
            client.write_all(&PING).await.unwrap();
            connection.read_exact(&mut [0; PING.len()]).await.unwrap();
            connection.write_all(&header).await.unwrap();
            connection.write_all(&[0; 23]).await.unwrap();
            client.read_exact(&mut [0; 32]).await.unwrap();
        }
    }
}
