//! Callers who want more than their part: streams, memory, answers that they never read.

use std::{net::SocketAddr, time::Duration};

use frontdesk_proto::conversation::v1::WatchThreadRequest;
use frontdesk_tests::{Account, Chat};
use futures::future::join_all;
use prost::Message;

use crate::{
    table::Outcome,
    wire::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, WHOLE_WINDOW, block, message_of,
    },
};

const PATIENCE: Duration = Duration::from_secs(1);
const REFUSED_STREAM: u32 = 7;
/// Streams of one connection at once.
const STREAMS: usize = 100;
/// A stream that stays open and needs no token.
const WATCH_HEALTH: &str = "/grpc.health.v1.Health/Watch";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const CREATE: &str = "/frontdesk.conversation.v1.ChannelService/CreateChannel";
const WATCH: &str = "/frontdesk.conversation.v1.ThreadService/WatchThread";

/// The identifiers of a client's streams.
fn streams(count: usize) -> impl Iterator<Item = u32> + Clone {
    (0..count as u32).map(|number| 2 * number + 1)
}

/// More streams than are allowed: those are refused. Whoever is refused a hundred times over may be cut; who asks for a few
/// too many goes on.
pub async fn streams_without_end(to: SocketAddr) -> Outcome {
    let watch = block(WATCH_HEALTH, &[]);
    let mut thousand = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let opening = streams(1_000).fold(Frames::default(), |frames, stream| frames.call(stream, &watch, &[]));
    let _ = thousand.send(&opening).await;
    let all = |heard: &crate::wire::Heard| heard.closed.is_some() || heard.brought.len() + heard.ended.len() >= 1_000;
    thousand.until(all, PATIENCE).await;
    let heard = thousand.heard();

    let mut few = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let opening = streams(STREAMS + 20).fold(Frames::default(), |frames, stream| frames.call(stream, &watch, &[]));
    few.send(&opening).await.unwrap();
    few.until(|heard| heard.brought.len() + heard.ended.len() >= STREAMS + 20, PATIENCE).await;
    few.send(&Frames::default().frame(PING, 0, 0, &[0; 8])).await.unwrap();
    let lives = few.until(|heard| heard.pongs == 1, PATIENCE).await;
    let of_few = few.heard();
    let refused = of_few.resets.values().filter(|code| **code == REFUSED_STREAM).count();
    let served = heard.brought.len();
    Outcome::told(format!("{served} served, {} refused", heard.resets.len()))
        .demand(served <= STREAMS, || format!("{served} of 1,000 streams were served"))
        .demand(heard.closed.is_some() || served + heard.resets.len() == 1_000, || {
            format!("1,000 streams: {served} served and {} refused", heard.resets.len())
        })
        .demand(of_few.brought.len() == STREAMS && refused == 20, || {
            format!("120 streams: {} served and {refused} refused", of_few.brought.len())
        })
        .demand(lives, || "120 streams: the connection does not live on".to_owned())
}

/// 64 KiB of header fields for each of 50 calls.
pub async fn long_headers(to: SocketAddr) -> Outcome {
    const LARGEST_FRAME: usize = 16 * 1024;
    let filling: Vec<String> = (0..16).map(|number| format!("x-{number:02}")).collect();
    let value = "y".repeat(4 * 1024);
    let fields: Vec<(&str, &str)> = filling.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let block = block(CHECK, &fields);
    let mut connection = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let calls = streams(50).fold(Frames::default(), |mut frames, stream| {
        let last = block.len().div_ceil(LARGEST_FRAME) - 1;
        for (number, part) in block.chunks(LARGEST_FRAME).enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            frames = frames.frame(kind, if number == last { END_HEADERS } else { 0 }, stream, part);
        }
        frames.frame(DATA, END_STREAM, stream, &message_of(0, &[]))
    });
    let sent = tokio::time::timeout(PATIENCE, connection.send(&calls)).await;
    connection.until(|heard| heard.closed.is_some() || heard.ended.len() == 50, PATIENCE).await;
    let heard = connection.heard();
    let cut = heard.closed.is_some();
    Outcome::told(if cut { "cut" } else { "refused" })
        .demand(cut || sent.is_ok(), || "neither read nor cut".to_owned())
        .demand(heard.brought.is_empty(), || format!("{} calls were served", heard.brought.len()))
        .demand(cut || heard.ended.len() == 50, || format!("{} of 50 calls were refused", heard.ended.len()))
}

/// Small messages that say they are large, of a caller who has a token: zeros that unfold to a thousand times their length,
/// twenty times; and a head that announces 4 GiB.
pub async fn bombs(to: SocketAddr, bearer: &str) -> Outcome {
    let plain = block(CREATE, &[("authorization", bearer)]);
    let packed = block(CREATE, &[("authorization", bearer), ("grpc-encoding", "gzip")]);
    let bomb = message_of(1, &zeros_in_gzip());
    let mut connection = Connection::greeted(to, Frames::greeting()).await.unwrap();
    let all = 21;
    for stream in streams(all) {
        let last = stream == 2 * all as u32 - 1;
        let (head, message) = if last { (&plain, &[0, 255, 255, 255, 255][..]) } else { (&packed, &bomb[..]) };
        let mut frames = Frames::default().head(stream, head);
        for part in message.chunks(16 * 1024) {
            frames = frames.data(stream, part);
        }
        // The announced 4 GiB are still to come.
        if !last {
            frames = frames.frame(DATA, END_STREAM, stream, &[]);
        }
        // A connection's window is 64 KiB at first: what was sent must have been read before more is.
        let ended = connection.send(&frames).await.is_ok()
            && connection.until(|heard| heard.closed.is_some() || heard.ended.contains(&stream), PATIENCE).await;
        if !ended || connection.heard().closed.is_some() {
            break;
        }
    }
    let heard = connection.heard();
    let refused = heard.ended.difference(&heard.brought).count();
    Outcome::told(format!("{refused} refused"))
        .demand(heard.closed.is_some() || refused == all, || format!("{refused} of {all} messages were refused"))
}

/// 33 MiB of zeros as gzip, in 32 KiB: a block of DEFLATE whose only codes are a zero, 'the same 258 times more', and its end.
/// The checksum is wrong: whoever comes to it has unfolded everything.
fn zeros_in_gzip() -> Vec<u8> {
    const COPIES: usize = 32 * 1024 * 4;
    let mut bits: Vec<(u32, u8)> = Vec::new();
    // The last block, with codes of its own: 286 for literals and lengths, 1 for distances, 18 for the lengths of codes.
    bits.extend([(1, 1), (2, 2), (29, 5), (0, 5), (14, 4)]);
    // Lengths of the codes for lengths: of 18 one bit, of 2 and of 1 two.
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
    // Codes are written from their first bit, numbers from their last: 18 is 0, 1 is 10, 2 is 11.
    let (one, two, zeros) = ((0b01, 2), (0b11, 2), (0, 1));
    bits.extend([two, zeros, (138 - 11, 7), zeros, (117 - 11, 7), two, zeros, (28 - 11, 7), one, one]);
    // The zero is 10; each copy is 0, and so is its distance; the end is 11.
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

/// A thread that is too long for anybody's buffers.
pub async fn long_thread(account: &Account) -> String {
    let channel = account.channel(None).await;
    let chat: Chat = account.start_chat(account.visitor("talker"), &channel).await;
    let text = "世".repeat(10_000);
    // As many as a visitor may say at once.
    let saying = (0..50).map(|_| chat.say(&text));
    for said in join_all(saying).await {
        said.unwrap();
    }
    chat.id
}

/// 200 watches of a long thread by callers without a window: nothing may be prepared for them.
pub async fn no_window(to: SocketAddr, bearer: &str, conversation: &str) -> Outcome {
    let mut connections = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::greeted(to, Frames::greeting_with_window(0)).await.unwrap();
        watch(&mut connection, bearer, conversation).await;
        connections.push(connection);
    }
    let mut told = Outcome::default();
    for connection in &mut connections {
        let open = connection.until(|heard| heard.answered.len() == STREAMS, PATIENCE * 3).await;
        let heard = connection.heard();
        told = told
            .demand(open, || format!("{} of {STREAMS} watches were opened", heard.answered.len()))
            .demand(heard.bytes == 0, || "messages were sent without a window".to_owned());
    }
    told
}

/// A connection full of watches with the widest window, whose owner never reads a byte: what is prepared waits in memory.
pub async fn deaf_ear(to: SocketAddr, bearer: &str, conversation: &str) -> Outcome {
    let wide = Frames::greeting_with_window(WHOLE_WINDOW).window(0, WHOLE_WINDOW - 65_535);
    let mut connection = Connection::deaf(to, wide).await.unwrap();
    watch(&mut connection, bearer, conversation).await;
    tokio::time::sleep(PATIENCE).await;
    Outcome::default()
}

/// Two watches of a second, by a caller without a window.
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
        // Not all at once: what is measured is what they hold.
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
