//! Clients that send nothing, a part of a request, or a request very slowly.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::{
    http2::{Connection, END_HEADERS, Frames, HEADERS, PING, PREFACE, block, message_of},
    report::Outcome,
};

/// Time limit for the preface with its SETTINGS: five seconds, and one for a busy machine.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(5 + 1);
/// Time limit for a connection that sent its preface and then answers no keepalive ping: the ping is sent after 20 s,
/// and the answer awaited for 10 s; and 5 s for a busy machine. Shorter limits would cut phones with a bad connection.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20 + 10 + 5);
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Number of connections of each kind.
const CONNECTIONS: usize = 20;

/// Connections whose preface never ends.
pub async fn no_preface(to: SocketAddr) -> Outcome {
    let kinds: [(&str, &[u8]); 3] =
        [("nothing", b""), ("half a preface", &PREFACE[..12]), ("a preface without SETTINGS", PREFACE)];
    let connections = kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, CONNECTIONS));
    let silent = connections.map(|(what, bytes)| async move {
        let began = Instant::now();
        let mut connection = Connection::open(to).await.unwrap();
        connection.bytes(bytes).await.unwrap();
        let closed = connection.closed(PREFACE_TIMEOUT).await;
        let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::default() };
        outcome.require(closed.is_some(), || format!("{what}: not closed within {PREFACE_TIMEOUT:?}"))
    });
    join_all(silent).await.into_iter().fold(Outcome::default(), Outcome::and)
}

/// Too many PINGs without a burst: 1,000 per second.
pub async fn slow_flood(to: SocketAddr) -> Outcome {
    let cut_within = Duration::from_secs(5);
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let began = Instant::now();
    let ten = (0..10).fold(Frames::default(), |frames, _| frames.frame(PING, 0, 0, &[0; 8]));
    while began.elapsed() < cut_within && connection.received().closed.is_none() {
        let _ = connection.send(&ten).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let closed = connection.received().closed;
    let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::default() };
    outcome.require(closed.is_some(), || format!("1,000 PINGs a second: not cut within {cut_within:?}"))
}

/// A HEADERS frame, one byte every 250 ms; and a client that sends its preface and nothing more.
pub async fn slow_frames(to: SocketAddr) -> Outcome {
    let slow = Frames::default().frame(HEADERS, END_HEADERS, 1, &block(CHECK, &[("x", &"y".repeat(200))]));
    let (slow, gone) = tokio::join!(
        trickle(to, slow, "a frame in single bytes"),
        trickle(to, Frames::default(), "a preface and nothing more")
    );
    slow.and(gone)
}

async fn trickle(to: SocketAddr, frames: Frames, what: &str) -> Outcome {
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let began = Instant::now();
    for byte in frames.0 {
        let closed = connection.closed(Duration::from_millis(250)).await;
        if closed.is_some() || began.elapsed() > KEEPALIVE_TIMEOUT {
            break;
        }
        let _ = connection.bytes(&[byte]).await;
    }
    let closed = connection.closed(KEEPALIVE_TIMEOUT.saturating_sub(began.elapsed())).await;
    let cut = closed.map(|at| at - began);
    let how = cut.map_or_else(|| "not closed".to_owned(), |cut| format!("closed after {:.0} s", cut.as_secs_f64()));
    let how = format!("{what}: {how}");
    Outcome { cut, ..Outcome::reaction(how) }
        .require(closed.is_some(), || format!("{what}: not closed within {KEEPALIVE_TIMEOUT:?}"))
}

/// A message in single bytes, for a call with a deadline of one second: the server answers at the deadline.
pub async fn slow_message(to: SocketAddr) -> Outcome {
    let (deadline, slack) = (Duration::from_secs(1), Duration::from_millis(500));
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let began = Instant::now();
    connection.send(&Frames::default().head(1, &block(CHECK, &[("grpc-timeout", "1S")]))).await.unwrap();
    for byte in message_of(0, &[0; 100]) {
        let ended = connection.until(|received| received.ended.contains(&1), Duration::from_millis(100)).await;
        if ended || began.elapsed() > deadline + slack || connection.received().closed.is_some() {
            break;
        }
        let _ = connection.send(&Frames::default().data(1, &[byte])).await;
    }
    let received = connection.received();
    // In tenths of a second, so that repetitions have the same text.
    Outcome::reaction(format!("answered after {:.1} s", began.elapsed().as_secs_f64()))
        .require(received.ended.contains(&1), || format!("not answered within {:?}", deadline + slack))
        .require(!received.with_message.contains(&1), || "served without its message".to_owned())
}
