//! Frames that cost their sender nothing: a connection that sends thousands of them is cut within a second.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::time::timeout;

use crate::{
    table::Outcome,
    wire::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
        WHOLE_WINDOW, block, code_name,
    },
};

const CUT_WITHIN: Duration = Duration::from_secs(1);
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// Waits for its message, and needs no token: what anybody on the internet can call.
const CHECK: &str = "/grpc.health.v1.Health/Check";
const LIST: &str = "/frontdesk.conversation.v1.ChannelService/ListChannels";

/// A flood: what each of its connections sends after the greeting, all of them at once. Each must be cut.
pub struct Flood {
    pub name: &'static str,
    pub frames: fn() -> Vec<Frames>,
}

pub const FLOODS: &[Flood] = &[
    Flood { name: "10,000 calls, each cancelled at once", frames: || vec![rapid_reset()] },
    Flood {
        name: "4,000 calls that the server must reset, in three ways",
        frames: || vec![window_too_wide(), window_of_nothing(), data_after_the_end()],
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

/// CVE-2023-44487.
fn rapid_reset() -> Frames {
    let block = block(LIST, &[]);
    streams(10_000).fold(Frames::default(), |frames, stream| {
        frames.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).frame(RST_STREAM, 0, stream, &CANCEL)
    })
}

/// CVE-2025-8671, as the two after it: the client breaks a rule of the stream, and it is the server who resets.
fn window_too_wide() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| frames.head(stream, &block).window(stream, WHOLE_WINDOW))
}

fn window_of_nothing() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| frames.head(stream, &block).window(stream, 0))
}

fn data_after_the_end() -> Frames {
    let block = block(CHECK, &[]);
    streams(4_000).fold(Frames::default(), |frames, stream| {
        frames.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).data(stream, b"late")
    })
}

/// CVE-2024-27316: a header that never ends.
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

/// Room for one byte more, which nobody needs.
fn windows() -> Frames {
    (0..20_000).fold(Frames::default(), |frames, _| frames.window(0, 1))
}

fn priorities() -> Frames {
    (0..20_000).fold(Frames::default(), |frames, number| frames.frame(PRIORITY, 0, 2 * number + 1, &[0, 0, 0, 0, 15]))
}

/// Floods the server over so many connections at once.
pub async fn flood(to: SocketAddr, connections: &[Frames]) -> Outcome {
    let flooding = connections.iter().map(|frames| cut(to, frames));
    join_all(flooding).await.into_iter().fold(Outcome::default(), Outcome::and)
}

async fn cut(to: SocketAddr, frames: &Frames) -> Outcome {
    let mut connection = match Connection::greeted(to, Frames::greeting()).await {
        Ok(connection) => connection,
        Err(error) => return Outcome::default().demand(false, || format!("no connection: {error}")),
    };
    let began = Instant::now();
    // Who is cut while still sending gets an error, who is no longer read waits: both are told by the reading end.
    let _ = timeout(CUT_WITHIN, connection.send(frames)).await;
    let closed = connection.closed(CUT_WITHIN.saturating_sub(began.elapsed())).await;
    let heard = connection.heard();
    let said = heard.goodbye.map_or_else(|| "no GOAWAY".to_owned(), code_name);
    let answered = if heard.pongs > 0 { format!("{said}, PINGs answered") } else { said };
    let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::told(answered) };
    outcome.demand(closed.is_some(), || format!("not cut within {CUT_WITHIN:?}"))
}
