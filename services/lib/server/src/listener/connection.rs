//! A connection that carries calls.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use frontdesk_transport::InProcessConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};
use tonic::transport::server::Connected;

use super::{connection_limits::ConnectionPermit, control_frames::ControlFrameLimiter};

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub struct PeerInfo {
    /// The service of ours that its certificate names, or that is in this process.
    pub service: Option<Arc<str>>,
    /// Cancel it to close the connection.
    pub close: CancellationToken,
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
        let peer = PeerInfo { service, close: CancellationToken::new() };
        let closed = Box::pin(peer.close.clone().cancelled_owned());
        Self { stream, unread, unread_from: 0, control_frames, peer, closed, _permit: permit }
    }

    /// A connection of a service in this process.
    pub(super) fn in_process(connection: InProcessConnection) -> Self {
        let stream = Either::Right(Either::Right(connection.stream));
        Self::new(stream, Vec::new(), None, Some(connection.service), None)
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut Stream> {
        Pin::new(&mut self.get_mut().stream)
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
        if this.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if let Some(limiter) = &mut this.control_frames
            && limiter.received(&buffer.filled()[filled..], Instant::now()).is_err()
        {
            tracing::warn!("closed a connection: its client sends too many control frames");
            return Poll::Ready(Err(io::Error::other("too many control frames")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        if let Some(limiter) = &mut this.control_frames {
            let mut left = written;
            for slice in slices {
                let length = left.min(slice.len());
                limiter.sent(&slice[..length]);
                left -= length;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
