//! Clients that use up streams and memory, or never read their responses.

use std::{net::SocketAddr, time::Duration};

use frontdesk_proto::conversation::v1::WatchThreadRequest;
use frontdesk_tests::{Account, Chat};
use futures::future::join_all;
use prost::Message;

use crate::{
    http2::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, MAX_WINDOW, PING, block, message_of,
    },
    report::Outcome,
};

/// How long an attack waits for the server's reaction.
const REACTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Error code REFUSED_STREAM.
const REFUSED_STREAM: u32 = 7;
/// Maximum number of concurrent streams of a connection.
const STREAMS: usize = 100;
/// A stream that needs no token and stays open.
const WATCH_HEALTH: &str = "/grpc.health.v1.Health/Watch";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const CREATE: &str = "/frontdesk.conversation.v1.ChannelService/CreateChannel";
const WATCH: &str = "/frontdesk.conversation.v1.ThreadService/WatchThread";

/// The identifiers of a client's streams.
fn streams(count: usize) -> impl Iterator<Item = u32> + Clone {
    (0..count as u32).map(|number| 2 * number + 1)
}

/// More streams than are allowed: the others are refused. A connection with hundreds of refused streams may be cut; one
/// with a few goes on.
pub async fn too_many_streams(to: SocketAddr) -> Outcome {
    let watch = block(WATCH_HEALTH, &[]);
    let mut many = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let opening = streams(1_000).fold(Frames::default(), |frames, stream| frames.call(stream, &watch, &[]));
    let _ = many.send(&opening).await;
    let all = |received: &crate::http2::Received| {
        received.closed.is_some() || received.with_message.len() + received.ended.len() >= 1_000
    };
    many.until(all, REACTION_TIMEOUT).await;
    let received = many.received();

    let mut few = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let opening = streams(STREAMS + 20).fold(Frames::default(), |frames, stream| frames.call(stream, &watch, &[]));
    few.send(&opening).await.unwrap();
    few.until(|received| received.with_message.len() + received.ended.len() >= STREAMS + 20, REACTION_TIMEOUT).await;
    few.send(&Frames::default().frame(PING, 0, 0, &[0; 8])).await.unwrap();
    let lives = few.until(|received| received.pongs == 1, REACTION_TIMEOUT).await;
    let of_few = few.received();
    let refused = of_few.resets.values().filter(|code| **code == REFUSED_STREAM).count();
    let served = received.with_message.len();
    Outcome::reaction(format!("{served} served, {} refused", received.resets.len()))
        .require(served <= STREAMS, || format!("{served} of 1,000 streams were served"))
        .require(received.closed.is_some() || served + received.resets.len() == 1_000, || {
            format!("1,000 streams: {served} served and {} refused", received.resets.len())
        })
        .require(of_few.with_message.len() == STREAMS && refused == 20, || {
            format!("120 streams: {} served and {refused} refused", of_few.with_message.len())
        })
        .require(lives, || "120 streams: the connection does not live on".to_owned())
}

/// 64 KiB of header fields for each of 50 calls.
pub async fn long_headers(to: SocketAddr) -> Outcome {
    const LARGEST_FRAME: usize = 16 * 1024;
    let filling: Vec<String> = (0..16).map(|number| format!("x-{number:02}")).collect();
    let value = "y".repeat(4 * 1024);
    let fields: Vec<(&str, &str)> = filling.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let block = block(CHECK, &fields);
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let calls = streams(50).fold(Frames::default(), |mut frames, stream| {
        let last = block.len().div_ceil(LARGEST_FRAME) - 1;
        for (number, part) in block.chunks(LARGEST_FRAME).enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            frames = frames.frame(kind, if number == last { END_HEADERS } else { 0 }, stream, part);
        }
        frames.frame(DATA, END_STREAM, stream, &message_of(0, &[]))
    });
    let sent = tokio::time::timeout(REACTION_TIMEOUT, connection.send(&calls)).await;
    connection.until(|received| received.closed.is_some() || received.ended.len() == 50, REACTION_TIMEOUT).await;
    let received = connection.received();
    let cut = received.closed.is_some();
    Outcome::reaction(if cut { "cut" } else { "refused" })
        .require(cut || sent.is_ok(), || "neither read nor cut".to_owned())
        .require(received.with_message.is_empty(), || format!("{} calls were served", received.with_message.len()))
        .require(cut || received.ended.len() == 50, || format!("{} of 50 calls were refused", received.ended.len()))
}

/// Compressed messages that expand to a thousand times their length, twenty times, and a message that announces 4 GiB;
/// all from an authenticated caller.
pub async fn compression_bombs(to: SocketAddr, bearer: &str) -> Outcome {
    let plain = block(CREATE, &[("authorization", bearer)]);
    let packed = block(CREATE, &[("authorization", bearer), ("grpc-encoding", "gzip")]);
    let bomb = message_of(1, &zeros_in_gzip());
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let all = 21;
    for stream in streams(all) {
        let last = stream == 2 * all as u32 - 1;
        let (head, message) = if last { (&plain, &[0, 255, 255, 255, 255][..]) } else { (&packed, &bomb[..]) };
        let mut frames = Frames::default().head(stream, head);
        for part in message.chunks(16 * 1024) {
            frames = frames.data(stream, part);
        }
        // The announced 4 GiB are never sent.
        if !last {
            frames = frames.frame(DATA, END_STREAM, stream, &[]);
        }
        // The connection's window is 64 KiB at first: the server must read each message before the next is sent.
        let ended = connection.send(&frames).await.is_ok()
            && connection
                .until(|received| received.closed.is_some() || received.ended.contains(&stream), REACTION_TIMEOUT)
                .await;
        if !ended || connection.received().closed.is_some() {
            break;
        }
    }
    let received = connection.received();
    let refused = received.ended.difference(&received.with_message).count();
    Outcome::reaction(format!("{refused} refused"))
        .require(received.closed.is_some() || refused == all, || format!("{refused} of {all} messages were refused"))
}

/// 33 MiB of zeros as gzip, in 32 KiB: a DEFLATE block whose only codes are a zero byte, a copy of 258 bytes, and the
/// end. The checksum is wrong: a server that reports it has decompressed everything.
fn zeros_in_gzip() -> Vec<u8> {
    const COPIES: usize = 32 * 1024 * 4;
    let mut bits: Vec<(u32, u8)> = Vec::new();
    // The last block, with dynamic codes: 286 for literals and lengths, 1 for distances, 18 for code lengths.
    bits.extend([(1, 1), (2, 2), (29, 5), (0, 5), (14, 4)]);
    // Lengths of the code length codes: one bit for 18, two bits for 2 and 1.
    bits.extend((0..18).map(|place| {
        (
            match place {
                2 => 1,
                15 | 17 => 2,
                _ => 0,
            },
            3,
        )
    }));
    // Codes are written from their most significant bit, numbers from their least: 18 is 0, 1 is 10, 2 is 11.
    let (one, two, zeros) = ((0b01, 2), (0b11, 2), (0, 1));
    bits.extend([two, zeros, (138 - 11, 7), zeros, (117 - 11, 7), two, zeros, (28 - 11, 7), one, one]);
    // The zero byte is 10; each copy is 0 with the distance 0; the end is 11.
    bits.push((0b01, 2));
    bits.extend(std::iter::repeat_n((0, 2), COPIES));
    bits.push((0b11, 2));
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u32, 0);
    for (value, length) in bits {
        held |= value << count;
        count += length;
        while count >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            count -= 8;
        }
    }
    bytes.push(held as u8);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// Creates a thread that exceeds the buffers of a stream.
pub async fn long_thread(account: &Account) -> String {
    let channel = account.channel(None).await;
    let chat: Chat = account.start_chat(account.visitor("talker"), &channel).await;
    let text = "世".repeat(10_000);
    // As many as the rate limit of visitors allows at once.
    let saying = (0..50).map(|_| chat.say(&text));
    for said in join_all(saying).await {
        said.unwrap();
    }
    chat.id
}

/// 200 watches of a long thread without a flow-control window: the server must buffer nothing for them.
pub async fn no_window(to: SocketAddr, bearer: &str, conversation: &str) -> Outcome {
    let mut connections = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::with_preface(to, Frames::preface_with_window(0)).await.unwrap();
        watch(&mut connection, bearer, conversation).await;
        connections.push(connection);
    }
    let mut outcome = Outcome::default();
    for connection in &mut connections {
        let open = connection.until(|received| received.answered.len() == STREAMS, REACTION_TIMEOUT * 3).await;
        let received = connection.received();
        outcome = outcome
            .require(open, || format!("{} of {STREAMS} watches were opened", received.answered.len()))
            .require(received.bytes == 0, || "messages were sent without a window".to_owned());
    }
    outcome
}

/// A connection full of watches with the largest window that never reads a byte: the responses stay in the server's
/// memory.
pub async fn unread_watches(to: SocketAddr, bearer: &str, conversation: &str) -> Outcome {
    let wide = Frames::preface_with_window(MAX_WINDOW).window(0, MAX_WINDOW - 65_535);
    let mut connection = Connection::unread(to, wide).await.unwrap();
    watch(&mut connection, bearer, conversation).await;
    tokio::time::sleep(REACTION_TIMEOUT).await;
    Outcome::default()
}

/// Opens as many watches as a connection may have, all at once, and waits for the first message of each.
pub async fn watches_at_once(to: SocketAddr, bearer: &str, conversation: &str) -> Connection {
    let watch = block(WATCH, &[("authorization", bearer)]);
    let request = WatchThreadRequest { conversation_id: conversation.to_owned(), after_sequence: 0 }.encode_to_vec();
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    let opening = streams(STREAMS).fold(Frames::default(), |frames, stream| frames.call(stream, &watch, &request));
    connection.send(&opening).await.unwrap();
    let served = |received: &crate::http2::Received| received.with_message.len() + received.ended.len() >= STREAMS;
    connection.until(served, REACTION_TIMEOUT * 10).await;
    connection
}

/// Opens a watch on stream 1 and waits for its first message.
pub async fn open_watch(to: SocketAddr, bearer: &str, conversation: &str) -> Connection {
    let watch = block(WATCH, &[("authorization", bearer)]);
    let request = WatchThreadRequest { conversation_id: conversation.to_owned(), after_sequence: 0 }.encode_to_vec();
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    connection.send(&Frames::default().call(1, &watch, &request)).await.unwrap();
    assert!(connection.until(|received| received.with_message.contains(&1), REACTION_TIMEOUT * 10).await, "no message");
    connection
}

/// Opens two watches with a deadline of one second and no flow-control window.
pub async fn watch_for_a_second(connection: &mut Connection, bearer: &str, conversation: &str) {
    let watch = block(WATCH, &[("authorization", bearer), ("grpc-timeout", "1S")]);
    let request = WatchThreadRequest { conversation_id: conversation.to_owned(), after_sequence: 0 }.encode_to_vec();
    for stream in streams(2) {
        connection.send(&Frames::default().call(stream, &watch, &request)).await.unwrap();
    }
}

async fn watch(connection: &mut Connection, bearer: &str, conversation: &str) {
    let watch = block(WATCH, &[("authorization", bearer)]);
    let request = WatchThreadRequest { conversation_id: conversation.to_owned(), after_sequence: 0 }.encode_to_vec();
    for stream in streams(STREAMS) {
        connection.send(&Frames::default().call(stream, &watch, &request)).await.unwrap();
        // One after another: the test measures what open streams hold.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_message_of_32_kib_expands_to_33_mib() {
        let bomb = zeros_in_gzip();
        assert!(bomb.len() < 33 * 1024, "{}", bomb.len());
    }
}
