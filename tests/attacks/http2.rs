//! HTTP/2 frames written by hand, since libraries do not send invalid ones. Header fields are uncompressed HPACK
//! literals.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::timeout,
};

/// First bytes of a client; a SETTINGS frame must follow.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Maximum length of a frame that the server reads.
pub const MAX_FRAME: usize = 16 * 1024;
/// The largest flow-control window.
pub const MAX_WINDOW: u32 = (1 << 31) - 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// Source address of attackers, which limits per address sender apart from the honest caller's.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Frames to send, in order.
#[derive(Clone, Default)]
pub struct Frames(pub Vec<u8>);

impl Frames {
    /// The preface, and an empty SETTINGS frame.
    pub fn preface() -> Self {
        Self(PREFACE.to_vec()).frame(SETTINGS, 0, 0, &[])
    }

    /// The preface, and a SETTINGS frame with the window of each stream.
    pub fn preface_with_window(window: u32) -> Self {
        let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
        Self(PREFACE.to_vec()).frame(SETTINGS, 0, 0, &setting)
    }

    pub fn frame(mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.extend_from_slice(&length[1..]);
        self.0.extend_from_slice(&[kind, flags]);
        self.0.extend_from_slice(&stream.to_be_bytes());
        self.0.extend_from_slice(payload);
        self
    }

    /// The headers of a call whose message follows.
    pub fn head(self, stream: u32, block: &[u8]) -> Self {
        self.frame(HEADERS, END_HEADERS, stream, block)
    }

    pub fn data(self, stream: u32, bytes: &[u8]) -> Self {
        self.frame(DATA, 0, stream, bytes)
    }

    pub fn window(self, stream: u32, increment: u32) -> Self {
        self.frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
    }

    /// A complete call.
    pub fn call(self, stream: u32, block: &[u8], message: &[u8]) -> Self {
        self.head(stream, block).frame(DATA, END_STREAM, stream, &message_of(0, message))
    }
}

/// A message with its gRPC prefix.
pub fn message_of(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[compressed][..], &length, message].concat()
}

/// Header block of a call of the method at `path`, with additional fields.
pub fn block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // Entries of HPACK's static table: method POST, scheme http.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(4, path), (1, "attacked")] {
        block.push(name);
        string(&mut block, value);
    }
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(more) {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// A string in HPACK without Huffman coding: the length in 7 bits, or 127 and the rest in groups of 7 bits.
fn string(block: &mut Vec<u8>, text: &str) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text.as_bytes());
}

/// What the server sent on a connection.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Streams with response headers.
    pub answered: BTreeSet<u32>,
    /// Streams with a message.
    pub with_message: BTreeSet<u32>,
    /// Streams that the server ended or reset.
    pub ended: BTreeSet<u32>,
    /// Streams that the server reset, with the error code.
    pub resets: BTreeMap<u32, u32>,
    /// Number of bytes of all messages.
    pub bytes: u32,
    /// Number of bytes by which the server has widened the connection's window.
    pub window: u64,
    /// Number of answered PINGs.
    pub pongs: usize,
    /// Payloads of the server's PINGs.
    pub pings: Vec<Vec<u8>>,
    /// Error code of GOAWAY.
    pub goaway: Option<u32>,
    /// When the connection was closed.
    pub closed: Option<Instant>,
}

/// A connection that sends any frames.
pub struct Connection {
    to: OwnedWriteHalf,
    received: watch::Receiver<Received>,
    /// Reading half of a connection that never reads; dropping it would close the connection.
    _unread: Option<OwnedReadHalf>,
}

/// Connects from the attackers' address.
pub async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ATTACKER, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    /// Connects and sends nothing.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(connect(to).await?))
    }

    fn over(stream: TcpStream) -> Self {
        let (from, to) = stream.into_split();
        let (sender, received) = watch::channel(Received::default());
        tokio::spawn(listen(from, sender));
        Self { to, received, _unread: None }
    }

    /// Connects and sends the preface.
    pub async fn with_preface(to: SocketAddr, preface: Frames) -> io::Result<Self> {
        let mut connection = Self::open(to).await?;
        connection.send(&preface).await?;
        Ok(connection)
    }

    /// Connects, sends the preface, and never reads a byte.
    pub async fn unread(to: SocketAddr, preface: Frames) -> io::Result<Self> {
        let (from, to) = connect(to).await?.into_split();
        let mut connection = Self { to, received: watch::channel(Received::default()).1, _unread: Some(from) };
        connection.send(&preface).await?;
        Ok(connection)
    }

    pub async fn send(&mut self, frames: &Frames) -> io::Result<()> {
        self.bytes(&frames.0).await
    }

    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes).await
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.received.borrow().clone()
    }

    /// Waits until `what` holds for what was received. False: it did not, within that time.
    pub async fn until(&mut self, what: impl FnMut(&Received) -> bool, within: Duration) -> bool {
        timeout(within, self.received.wait_for(what)).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Like [`Self::until`], of a client that answers the server's PINGs: one that does not is closed.
    pub async fn until_alive(&mut self, mut what: impl FnMut(&Received) -> bool, within: Duration) -> bool {
        let (end, mut answered) = (Instant::now() + within, 0);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let done = self.until(|received| received.pings.len() > answered || what(received), left).await;
            let pings = self.received().pings.split_off(answered);
            if pings.is_empty() {
                return done;
            }
            let answers = pings.iter().fold(Frames::default(), |frames, ping| frames.frame(PING, ACK, 0, ping));
            let _ = self.send(&answers).await;
            answered += pings.len();
        }
    }

    /// When the connection was closed. None: it was not, within that time.
    pub async fn closed(&mut self, within: Duration) -> Option<Instant> {
        self.until(|received| received.closed.is_some(), within).await;
        self.received.borrow().closed
    }
}

/// Reads frames until the connection ends.
pub async fn listen(mut from: impl AsyncRead + Unpin, sender: watch::Sender<Received>) {
    let mut read = vec![0; 64 * 1024];
    let mut kept: Vec<u8> = Vec::new();
    loop {
        let count = from.read(&mut read).await.unwrap_or(0);
        if count == 0 {
            sender.send_modify(|received| received.closed = Some(Instant::now()));
            return;
        }
        kept.extend_from_slice(&read[..count]);
        sender.send_modify(|received| {
            let mut rest = &kept[..];
            while let Some((frame, next)) = split(rest) {
                received.record(frame);
                rest = next;
            }
            let rest = kept.len() - rest.len();
            kept.drain(..rest);
        });
    }
}

/// The first complete frame, and the rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?) << 16 | usize::from(*bytes.get(1)?) << 8 | usize::from(*bytes.get(2)?);
    bytes.split_at_checked(9 + length)
}

impl Received {
    fn record(&mut self, frame: &[u8]) {
        let (head, payload) = frame.split_at(9);
        let number = |at: usize| payload.get(at..at + 4).map(|four| u32::from_be_bytes(four.try_into().unwrap()));
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        match kind {
            HEADERS => {
                self.answered.insert(stream);
            }
            DATA => {
                self.with_message.insert(stream);
                self.bytes += u32::try_from(payload.len()).unwrap();
            }
            RST_STREAM => {
                // A stream may be reset twice: frames that arrive after a refusal are answered with another reset.
                self.resets.entry(stream).or_insert(number(0).unwrap_or_default());
                self.ended.insert(stream);
            }
            WINDOW_UPDATE if stream == 0 => self.window += u64::from(number(0).unwrap_or_default()),
            PING if flags & ACK != 0 => self.pongs += 1,
            PING => self.pings.push(payload.to_vec()),
            GOAWAY => self.goaway = number(4),
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            self.ended.insert(stream);
        }
    }
}

/// Name of an error code in the standard.
pub fn code_name(code: u32) -> String {
    let names = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"];
    let more = ["STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR"];
    let all = [&names[..], &more[..], &["ENHANCE_YOUR_CALM"]].concat();
    all.get(code as usize).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}
