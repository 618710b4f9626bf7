//! The handshake of a connection: TLS, then the HTTP/2 preface and the header of the first frame. A client that sends anything else
//! never reaches the HTTP/2 server; where HTTP/1.1 is served too, it speaks that.

use std::{io, sync::Arc, time::Instant};

use frontdesk_transport::Tls;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::either::Either;

use super::{
    connection::Connection,
    connection_limits::ConnectionPermit,
    control_frames::{ControlFrameLimiter, FRAME_HEADER_SIZE},
};

/// What an HTTP/2 client sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Number of bytes that the handshake reads: the preface and the header of the first frame.
const OPENING_SIZE: usize = PREFACE.len() + FRAME_HEADER_SIZE;
/// Type of the frame that must follow the preface, and its place in the frame header.
const SETTINGS: u8 = 4;
const FRAME_TYPE_OFFSET: usize = 3;
/// The answer to a client that does not send the preface.
const NOT_HTTP2: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nThis port speaks gRPC: HTTP/2, by prior knowledge or TLS with ALPN h2.\n";

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// gRPC, also of services, which their certificates name.
    Http2,
    /// Browsers: HTTP/2 and HTTP/1.1. No connection names a service.
    Http1And2,
}

/// How connections are opened.
#[derive(Clone)]
pub(super) struct Handshake {
    pub(super) tls: Option<Tls>,
    pub(super) protocols: Protocols,
    pub(super) limit_control_frames: bool,
}

impl Handshake {
    /// Shakes hands on an accepted connection.
    pub(super) async fn run(self, stream: TcpStream, permit: ConnectionPermit) -> io::Result<Connection> {
        // An answer is two small writes: with Nagle's algorithm the second waits 40 ms for the acknowledgement of the first.
        stream.set_nodelay(true)?;
        let (mut stream, service) = match self.tls {
            None => (Either::Left(stream), None),
            Some(tls) => {
                let (stream, service) = tls.accept(stream).await?;
                (Either::Right(Either::Left(Box::new(stream))), service)
            }
        };
        let service = service.filter(|_| self.protocols == Protocols::Http2);
        let opening = match read_opening(&mut stream, self.protocols).await? {
            Opening::Http2(opening) => opening,
            Opening::Http1(bytes) => return Ok(Connection::new(stream, bytes, None, None, Some(permit))),
        };
        // Our own services are not limited.
        let control_frames = (self.limit_control_frames && service.is_none())
            .then(|| ControlFrameLimiter::new(&opening[PREFACE.len()..], Instant::now()));
        Ok(Connection::new(stream, opening, control_frames, service.map(Arc::from), Some(permit)))
    }
}

/// The first bytes of a client.
#[derive(Debug, PartialEq, Eq)]
enum Opening {
    /// The preface and the header of a SETTINGS frame.
    Http2(Vec<u8>),
    /// Bytes that differ from the preface.
    Http1(Vec<u8>),
}

/// Reads the preface and the header of the first frame. At the first byte that differs from the preface the client speaks HTTP/1.1;
/// where that is not served, this answers so and fails.
async fn read_opening(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), protocols: Protocols) -> io::Result<Opening> {
    let mut opening = vec![0; OPENING_SIZE];
    let mut length = 0;
    while length < OPENING_SIZE {
        match stream.read(&mut opening[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
        let preface = length.min(PREFACE.len());
        if opening[..preface] != PREFACE[..preface] {
            if protocols == Protocols::Http1And2 {
                opening.truncate(length);
                return Ok(Opening::Http1(opening));
            }
            stream.write_all(NOT_HTTP2).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("the client does not speak HTTP/2"));
        }
    }
    if opening[PREFACE.len() + FRAME_TYPE_OFFSET] != SETTINGS {
        return Err(io::Error::other("the client's first frame is not SETTINGS"));
    }
    Ok(Opening::Http2(opening))
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    /// The preface and the header of a frame of this type.
    fn opening(frame_type: u8) -> Vec<u8> {
        [&PREFACE[..], &[0, 0, 0, frame_type, 0, 0, 0, 0, 0]].concat()
    }

    /// The result of a handshake with a client that sends these pieces, and what the client received.
    async fn handshake(pieces: &[&[u8]], protocols: Protocols) -> (io::Result<Opening>, Vec<u8>) {
        let (mut client, mut server): (DuplexStream, DuplexStream) = tokio::io::duplex(1024);
        let send = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            received
        };
        let receive = async move { read_opening(&mut server, protocols).await };
        let (received, result) = tokio::join!(send, receive);
        (result, received)
    }

    #[tokio::test]
    async fn s4_a_client_that_opens_with_http2_is_accepted_however_its_bytes_arrive() {
        let bytes = opening(SETTINGS);
        let single_bytes: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [&[bytes.as_slice()][..], &[&bytes[..7], &bytes[7..]], &single_bytes] {
            for protocols in [Protocols::Http2, Protocols::Http1And2] {
                let (opening, received) = handshake(pieces, protocols).await;
                assert!(opening.unwrap() == Opening::Http2(bytes.clone()) && received.is_empty());
            }
        }
    }

    #[tokio::test]
    async fn s4_a_client_that_does_not_speak_http2_learns_it_at_the_first_wrong_byte() {
        for first in [&b"G"[..], b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1"] {
            let (opening, received) = handshake(&[first], Protocols::Http2).await;
            assert_eq!(opening.unwrap_err().to_string(), "the client does not speak HTTP/2");
            assert!(received.starts_with(b"HTTP/1.1 400 Bad Request"), "{received:?}");
        }
    }

    #[tokio::test]
    async fn a_browser_may_speak_http1() {
        for first in [&b"G"[..], b"POST / HTTP/1.1\r\n\r\n"] {
            let (opening, received) = handshake(&[first], Protocols::Http1And2).await;
            let read = &first[..first.len().min(OPENING_SIZE)];
            assert!(opening.unwrap() == Opening::Http1(read.to_vec()) && received.is_empty());
        }
    }

    #[tokio::test]
    async fn s4_a_client_that_breaks_off_or_opens_with_another_frame_is_refused() {
        let (opening_with_ping, received) = handshake(&[&opening(6)], Protocols::Http1And2).await;
        assert_eq!(opening_with_ping.unwrap_err().to_string(), "the client's first frame is not SETTINGS");
        assert!(received.is_empty());
        let (broken_off, _) = handshake(&[&PREFACE[..]], Protocols::Http2).await;
        assert_eq!(broken_off.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
