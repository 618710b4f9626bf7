//! Callers who say nothing, half of it, or all of it very slowly.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::{
    table::Outcome,
    wire::{Connection, END_HEADERS, Frames, HEADERS, PING, PREFACE, block, message_of},
};

/// Until then a caller has said the preface with its SETTINGS; and a moment more, for the machine.
const GREETS_WITHIN: Duration = Duration::from_secs(5 + 1);
/// A frame that does not end is a connection on which no PING of the server is answered: it is asked after 20 s of silence
/// and given up 10 s later. Nothing faster is promised to who has greeted: a phone on a train is as slow.
const ALIVE_WITHIN: Duration = Duration::from_secs(20 + 10 + 5);
const CHECK: &str = "/grpc.health.v1.Health/Check";
const EACH: usize = 20;

/// Connections on which the greeting never comes to its end.
pub async fn no_greeting(to: SocketAddr) -> Outcome {
    let kinds: [(&str, &[u8]); 3] =
        [("nothing", b""), ("half a preface", &PREFACE[..12]), ("a preface without SETTINGS", PREFACE)];
    let connections = kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, EACH));
    let silent = connections.map(|(what, said)| async move {
        let began = Instant::now();
        let mut connection = Connection::open(to).await.unwrap();
        connection.bytes(said).await.unwrap();
        let closed = connection.closed(GREETS_WITHIN).await;
        let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::default() };
        outcome.demand(closed.is_some(), || format!("{what}: not closed within {GREETS_WITHIN:?}"))
    });
    join_all(silent).await.into_iter().fold(Outcome::default(), Outcome::and)
}

/// No burst, but too many PINGs all the time: 1,000 a second.
pub async fn patient_flood(to: SocketAddr) -> Outcome {
    let patience = Duration::from_secs(5);
    let mut connection = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let began = Instant::now();
    let ten = (0..10).fold(Frames::default(), |frames, _| frames.frame(PING, 0, 0, &[0; 8]));
    while began.elapsed() < patience && connection.heard().closed.is_none() {
        let _ = connection.send(&ten).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let closed = connection.heard().closed;
    let outcome = Outcome { cut: closed.map(|at| at - began), ..Outcome::default() };
    outcome.demand(closed.is_some(), || format!("1,000 PINGs a second: not cut within {patience:?}"))
}

/// A HEADERS frame, one byte every quarter of a second; and a caller who greets and is never heard of again.
pub async fn slow_frames(to: SocketAddr) -> Outcome {
    let slow = Frames::default().frame(HEADERS, END_HEADERS, 1, &block(CHECK, &[("x", &"y".repeat(200))]));
    let (slow, gone) = tokio::join!(
        trickle(to, slow, "a frame in single bytes"),
        trickle(to, Frames::default(), "a greeting and no more")
    );
    slow.and(gone)
}

async fn trickle(to: SocketAddr, frames: Frames, what: &str) -> Outcome {
    let mut connection = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let began = Instant::now();
    for byte in frames.0 {
        let closed = connection.closed(Duration::from_millis(250)).await;
        if closed.is_some() || began.elapsed() > ALIVE_WITHIN {
            break;
        }
        let _ = connection.bytes(&[byte]).await;
    }
    let closed = connection.closed(ALIVE_WITHIN.saturating_sub(began.elapsed())).await;
    let cut = closed.map(|at| at - began);
    let how = cut.map_or_else(|| "not closed".to_owned(), |cut| format!("closed after {:.0} s", cut.as_secs_f64()));
    let how = format!("{what}: {how}");
    Outcome { cut, ..Outcome::told(how) }
        .demand(closed.is_some(), || format!("{what}: not closed within {ALIVE_WITHIN:?}"))
}

/// A message in single bytes, of a call that has a second: the deadline holds whatever the caller does.
pub async fn slow_message(to: SocketAddr) -> Outcome {
    let (deadline, slack) = (Duration::from_secs(1), Duration::from_millis(500));
    let mut connection = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let began = Instant::now();
    connection.send(&Frames::default().head(1, &block(CHECK, &[("grpc-timeout", "1S")]))).await.unwrap();
    for byte in message_of(0, &[0; 100]) {
        let ended = connection.until(|heard| heard.ended.contains(&1), Duration::from_millis(100)).await;
        if ended || began.elapsed() > deadline + slack || connection.heard().closed.is_some() {
            break;
        }
        let _ = connection.send(&Frames::default().data(1, &[byte])).await;
    }
    let heard = connection.heard();
    // Told in tenths of a second: it is the same each time.
    Outcome::told(format!("answered after {:.1} s", began.elapsed().as_secs_f64()))
        .demand(heard.ended.contains(&1), || format!("not answered within {:?}", deadline + slack))
        .demand(!heard.brought.contains(&1), || "served without its message".to_owned())
}
