//! Floods of frames that cost their sender nothing: such a connection is cut within one second.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::time::timeout;

use crate::{
    http2::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, MAX_WINDOW, PING, PRIORITY,
        RST_STREAM, SETTINGS, block, code_name,
    },
    report::Outcome,
};

/// Time limit for cutting a flooding connection.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// Error code CANCEL.
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// A method that needs no token; its call waits for the message.
const CHECK: &str = "/grpc.health.v1.Health/Check";
const LIST: &str = "/frontdesk.conversation.v1.ChannelService/ListChannels";

/// A flood: the frames that each of its connections sends after the preface, all connections at once. Each must be cut.
pub struct Flood {
    pub name: &'static str,
    pub frames: fn() -> Vec<Frames>,
}

pub const FLOODS: &[Flood] = &[
    Flood { name: "10,000 calls, each cancelled at once", frames: || vec![rapid_reset()] },
    Flood {
        name: "4,000 calls that the server must reset, in three ways",
        frames: || vec![window_too_wide(), window_of_zero(), data_after_the_end()],
    },
    Flood { name: "10,000 CONTINUATION; 5,000 empty DATA", frames: || vec![continuation(), empty_data()] },
    Flood { name: "20,000 PING", frames: || vec![many(PING, &[0; 8])] },
    Flood { name: "20,000 SETTINGS", frames: || vec![many(SETTINGS, &[])] },
    Flood { name: "20,000 WINDOW_UPDATE; 20,000 PRIORITY", frames: || vec![windows(), priorities()] },
];

/// The identifiers of a client's streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// Calls that are cancelled at once (CVE-2023-44487, rapid reset).
fn rapid_reset() -> Frames {
    let block = block(LIST, &[]);
    streams(10_000).fold(Frames::default(), |frames, stream| {
        frames.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).frame(RST_STREAM, 0, stream, &CANCEL)
    })
}

/// Calls that the server must reset (CVE-2025-8671, MadeYouReset), as the two functions below.
fn window_too_wide() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| frames.head(stream, &block).window(stream, MAX_WINDOW))
}

fn window_of_zero() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| frames.head(stream, &block).window(stream, 0))
}

fn data_after_the_end() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| {
        frames.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).data(stream, b"late")
    })
}

/// A header block that never ends (CVE-2024-27316).
fn continuation() -> Frames {
    let begun = Frames::default().frame(HEADERS, 0, 1, &block(CHECK, &[]));
    let field = [&[0, 1, b'x', 1], &b"y"[..]].concat();
    (0..10_000).fold(begun, |frames, _| frames.frame(CONTINUATION, 0, 1, &field))
}

fn empty_data() -> Frames {
    let begun = Frames::default().head(1, &block(CHECK, &[]));
    (0..5_000).fold(begun, |frames, _| frames.frame(DATA, 0, 1, &[]))
}

fn many(kind: u8, payload: &[u8]) -> Frames {
    (0..20_000).fold(Frames::default(), |frames, _| frames.frame(kind, 0, 0, payload))
}

/// Windows that grow by one byte each.
fn windows() -> Frames {
    (0..20_000).fold(Frames::default(), |frames, _| frames.window(0, 1))
}

fn priorities() -> Frames {
    (0..20_000).fold(Frames::default(), |frames, number| frames.frame(PRIORITY, 0, 2 * number + 1, &[0, 0, 0, 0, 15]))
}

/// Floods the server, with one connection for each set of frames.
pub async fn flood(to: SocketAddr, connections: &[Frames]) -> Outcome {
    let flooding = connections.iter().map(|frames| cut(to, frames));
    join_all(flooding).await.into_iter().fold(Outcome::default(), Outcome::and)
}

async fn cut(to: SocketAddr, frames: &Frames) -> Outcome {
    let mut connection = match Connection::with_preface(to, Frames::preface()).await {
        Ok(connection) => connection,
        Err(error) => return Outcome::default().require(false, || format!("no connection: {error}")),
    };
    let began = Instant::now();
    // A cut connection fails while it sends, one that the server does not read blocks: the reading half shows which.
    let _ = timeout(CUT_WITHIN, connection.send(frames)).await;
    let closed = connection.closed(CUT_WITHIN.saturating_sub(began.elapsed())).await;
    let received = connection.received();
    let code = received.goaway.map_or_else(|| "no GOAWAY".to_owned(), code_name);
    let answered = if received.pongs > 0 { format!("{code}, PINGs answered") } else { code };
    let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::reaction(answered) };
    outcome.require(closed.is_some(), || format!("not cut within {CUT_WITHIN:?}"))
}
