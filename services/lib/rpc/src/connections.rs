//! Connections before they are calls: how many there may be, the handshake within a deadline, and who is at the other end.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::{LimitSettings, Tls, frames::Frames};

/// From accepting a connection to its first frame: a handshake takes a few round trips, silence takes nothing.
const SPEAK_WITHIN: Duration = Duration::from_secs(5);
/// When the process has no descriptor left, asking again at once would only burn time.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);
/// That somebody found no place is told so often.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Bytes on their way within the process.
const WITHIN_BUFFER: usize = 64 * 1024;

/// What an HTTP/2 client says first, and the head of the frame that it must say then.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FIRST: usize = PREFACE.len() + 9;
const SETTINGS: u8 = 4;
const NOT_HTTP2: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nThis port speaks gRPC: HTTP/2, by prior knowledge or TLS with ALPN h2.\n";

/// Who is at the other end, as far as the connection tells.
#[derive(Clone, Debug, Default)]
pub struct ConnectedBy {
    /// The service of ours that its certificate names, or that is in this process.
    pub service: Option<Arc<str>>,
    /// Cancelled: the connection is cut.
    pub cut: CancellationToken,
}

/// The way to this process from within it: for services that call each other in one process.
#[derive(Clone)]
pub struct WithinProcess(mpsc::Sender<Connection>);

impl WithinProcess {
    /// The way, and its end for [`crate::serve`].
    pub fn new() -> (Self, Arrivals) {
        let (connections, arrivals) = mpsc::channel(64);
        (Self(connections), Arrivals(arrivals))
    }

    /// A connection of the service named so.
    pub(crate) async fn connect(&self, service: &Arc<str>) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(WITHIN_BUFFER);
        let connected = ConnectedBy { service: Some(service.clone()), ..ConnectedBy::default() };
        let connection = Connection::new(Stream::Within(theirs), Vec::new(), connected, None);
        self.0.send(connection).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(ours)
    }
}

/// Connections that are ready for calls.
pub struct Arrivals(mpsc::Receiver<Connection>);

impl Arrivals {
    /// Those from within, and those that the listener accepts until the shutdown.
    pub(crate) fn and_accepted(
        self,
        within: &WithinProcess,
        listener: TcpListener,
        limits: &LimitSettings,
        tls: Option<Tls>,
        shutdown: CancellationToken,
    ) -> impl futures::Stream<Item = io::Result<Connection>> + Send + use<> {
        let places = Arc::new(Places { limits: limits.clone(), taken: Mutex::default() });
        let arrive = within.0.clone();
        tokio::spawn(shutdown.run_until_cancelled_owned(accept(listener, places, tls, arrive)));
        futures::StreamExt::map(ReceiverStream::new(self.0), Ok)
    }
}

async fn accept(listener: TcpListener, places: Arc<Places>, tls: Option<Tls>, arrive: mpsc::Sender<Connection>) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            // One that was gone before we came to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::time::sleep(NO_DESCRIPTOR).await;
                continue;
            }
        };
        let Some(place) = places.take(address) else { continue };
        let (tls, arrive) = (tls.clone(), arrive.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(SPEAK_WITHIN, greet(stream, tls, place)).await {
                Ok(Ok(connection)) => drop(arrive.send(connection).await),
                Ok(Err(error)) => tracing::debug!(%error, "a connection came to nothing"),
                Err(_) => tracing::debug!("a connection said nothing for too long"),
            }
        });
    }
}

/// The handshake, and the first words: who says nothing, or something else, is no client.
async fn greet(stream: TcpStream, tls: Option<Tls>, place: Place) -> io::Result<Connection> {
    // An answer is two small writes: without this the second waits 40 ms for the acknowledgement of the first.
    stream.set_nodelay(true)?;
    let (mut stream, service) = match tls {
        None => (Stream::Tcp(stream), None),
        Some(tls) => {
            let (stream, service) = tls.accept(stream).await?;
            (Stream::Tls(Box::new(stream)), service)
        }
    };
    let mut first = vec![0; FIRST];
    let mut read = 0;
    while read < FIRST {
        match stream.read(&mut first[read..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
        let preface = read.min(PREFACE.len());
        if first[..preface] != PREFACE[..preface] {
            stream.write_all(NOT_HTTP2).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("it does not speak HTTP/2"));
        }
    }
    if first[PREFACE.len() + 3] != SETTINGS {
        return Err(io::Error::other("its first frame is not SETTINGS"));
    }
    let connected = ConnectedBy { service: service.map(Arc::from), ..ConnectedBy::default() };
    Ok(Connection::new(stream, first, connected, Some(place)))
}

/// How many connections there are, and from where.
struct Places {
    limits: LimitSettings,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    /// When it was last told that somebody found none.
    told: Option<Instant>,
}

/// A connection's place among them; free when it is dropped.
struct Place {
    places: Arc<Places>,
    from: IpAddr,
}

impl Places {
    fn take(self: &Arc<Self>, address: SocketAddr) -> Option<Place> {
        // Whoever has one IPv6 address has its whole network.
        let from = match address.ip().to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
            ip => ip,
        };
        let taken = &mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = taken.by_address.get(&from).copied().unwrap_or(0);
        if taken.all >= self.limits.connections || mine >= self.limits.connections_per_address {
            if taken.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
                tracing::warn!(all = taken.all, %from, mine, "there are too many connections; this one was closed");
                taken.told = Some(Instant::now());
            }
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(from, mine + 1);
        Some(Place { places: self.clone(), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &mut *self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        match taken.by_address.get_mut(&self.from) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => drop(taken.by_address.remove(&self.from)),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Within(DuplexStream),
}

/// A connection that carries calls.
pub struct Connection {
    stream: Stream,
    /// What was read already.
    first: io::Cursor<Vec<u8>>,
    /// Strangers' frames are counted.
    frames: Option<Frames>,
    connected: ConnectedBy,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Option<Place>,
}

impl Connection {
    fn new(stream: Stream, first: Vec<u8>, connected: ConnectedBy, place: Option<Place>) -> Self {
        let mut frames = connected.service.is_none().then(|| Frames::new(Instant::now()));
        if let Some(frames) = &mut frames {
            let _one = frames.received(first.get(PREFACE.len()..).unwrap_or_default(), Instant::now());
        }
        let cut = Box::pin(connected.cut.clone().cancelled_owned());
        Self { stream, first: io::Cursor::new(first), frames, connected, cut, _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectedBy;

    fn connect_info(&self) -> ConnectedBy {
        self.connected.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
            Self::Within(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Within(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Within(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Within(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Within(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Within(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let first = &this.first.get_ref()[this.first.position() as usize..];
        if !first.is_empty() {
            let some = first.len().min(into.remaining());
            into.put_slice(&first[..some]);
            this.first.set_position(this.first.position() + some as u64);
            return Poll::Ready(Ok(()));
        }
        if this.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, into);
        if let (Poll::Ready(Ok(())), Some(frames)) = (&read, &mut this.frames)
            && frames.received(&into.filled()[before..], Instant::now()).is_err()
        {
            tracing::warn!("a connection was cut: it sends control frames without end");
            return Poll::Ready(Err(io::Error::other("too many control frames")));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        if let (Poll::Ready(Ok(written)), Some(frames)) = (&written, &mut this.frames) {
            let mut left = *written;
            for slice in bytes {
                let sent = left.min(slice.len());
                frames.sent(&slice[..sent]);
                left -= sent;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
