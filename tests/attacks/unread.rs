//! Answers that their clients do not read, and requests that arrive slowly: what they hold in memory is bounded.

use std::{io, net::SocketAddr, time::Duration};

use frontdesk_proto::{
    conversation::v1::ListEntriesRequest,
    notification::v1::{PreviewTranscriptRequest, TranscriptPart},
};
use prost::Message;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::{
    http2::{Connection, Frames, MAX_FRAME, MAX_WINDOW, block, message_of},
    report::Outcome,
};

/// How long an attack waits for the server's reaction.
const REACTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of concurrent streams of a connection.
const STREAMS: u32 = 100;
/// Maximum number of open reflection streams of one address.
const REFLECTION_STREAMS: usize = 4;
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const CREATE: &str = "/frontdesk.conversation.v1.ChannelService/CreateChannel";
const LIST: &str = "/frontdesk.conversation.v1.ThreadService/ListEntries";
const PREVIEW: &str = "/frontdesk.notification.v1.TranscriptService/PreviewTranscript";

/// The identifiers of a client's streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// Ten connections without a window ask reflection for its largest file on each of their streams.
pub async fn reflection(to: SocketAddr) -> Outcome {
    // Field 3 of the request, `file_by_filename`.
    let file = b"buf/validate/validate.proto";
    let request = message_of(0, &[&[0x1a, file.len() as u8][..], file].concat());
    let reflect = block(REFLECT, &[]);
    let asking = streams(STREAMS).fold(Frames::default(), |frames, stream| {
        // The second answer waits behind the first one.
        frames.head(stream, &reflect).data(stream, &request).data(stream, &request)
    });
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::with_preface(to, Frames::preface_with_window(0)).await.unwrap();
        connection.send(&asking).await.unwrap();
        connections.push(connection);
        // What open and refused streams hold is measured, not how long a burst of them takes.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut open, mut refused) = (0, 0);
    for connection in &mut connections {
        connection.until(|received| received.answered.len() == STREAMS as usize, REACTION_TIMEOUT * 3).await;
        let received = connection.received();
        open += received.answered.difference(&received.ended).count();
        refused += received.ended.len();
    }
    Outcome::reaction(format!("{open} open, {refused} refused"))
        .require(open <= REFLECTION_STREAMS, || format!("{open} streams were opened"))
        .require(refused > 0, || "no stream was refused".to_owned())
}

/// Four connections send as much of a large request as their windows allow on each of their streams, and no request ends.
pub async fn slow_bodies(to: SocketAddr, bearer: &str) -> Outcome {
    let create = block(CREATE, &[("authorization", bearer)]);
    let part = vec![0; MAX_FRAME];
    let mut outcome = Outcome::default();
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..4 {
        let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
        for stream in streams(STREAMS) {
            // A message of 1 MiB is announced; the window of a stream has 256 KiB.
            let mut frames = Frames::default().head(stream, &create).data(stream, &[0, 0, 0x10, 0, 0]);
            frames = (0..15).fold(frames, |frames, _| frames.data(stream, &part));
            let has_room = |received: &crate::http2::Received| received.window + 65_535 > sent_on(stream);
            if !connection.until(has_room, REACTION_TIMEOUT).await || connection.send(&frames).await.is_err() {
                break;
            }
            sent += 1;
        }
        let some = connection.until(|received| !received.ended.is_empty(), REACTION_TIMEOUT).await;
        refused += connection.received().ended.len();
        outcome = outcome.require(some, || "no request was refused".to_owned());
    }
    Outcome { how: format!("{sent} sent, {refused} refused"), ..outcome }
}

/// Number of bytes that a connection has sent when this stream's request is sent.
fn sent_on(stream: u32) -> u64 {
    u64::from(stream.div_ceil(2)) * (5 + 15 * MAX_FRAME as u64)
}

/// Calls ListEntries `count` times on a connection whose streams have a window of one byte: the server may send that much, and must
/// hold the rest. `until`: the last entry of the answer; 0: all.
pub async fn unread_pages(to: SocketAddr, bearer: &str, thread: &str, count: u32, until: i32) -> Connection {
    let list = block(LIST, &[("authorization", bearer)]);
    let mut connection = Connection::with_preface(to, Frames::preface_with_window(1)).await.unwrap();
    for stream in streams(count) {
        connection.send(&Frames::default().call(stream, &list, &page(thread, until))).await.unwrap();
        connection.until(|received| received.answered.contains(&stream), REACTION_TIMEOUT * 5).await;
    }
    connection
}

/// Calls ListEntries as a browser does, over HTTP/1.1, and reads nothing.
pub async fn unread_page_of_browser(to: SocketAddr, bearer: &str, thread: &str) -> io::Result<TcpStream> {
    let body = message_of(0, &page(thread, 0));
    let head = format!(
        "POST {LIST} HTTP/1.1\r\nhost: test\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\nauthorization: {bearer}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let socket = TcpSocket::new_v4()?;
    // The least that the kernel allows.
    socket.set_recv_buffer_size(1024)?;
    let mut stream = socket.connect(to).await?;
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    Ok(stream)
}

/// Calls PreviewTranscript `count` times at once for the end of the part, so that the answers are small, and waits for
/// all of them. Returns how many have a message.
pub async fn previews(to: SocketAddr, bearer: &str, thread: &str, count: u32) -> usize {
    let preview = block(PREVIEW, &[("authorization", bearer)]);
    let part = TranscriptPart::Html.into();
    let conversation_id = thread.to_owned();
    let request =
        PreviewTranscriptRequest { conversation_id, part, offset: 1_400_000, ..Default::default() }.encode_to_vec();
    let wide = Frames::preface_with_window(MAX_WINDOW).window(0, MAX_WINDOW - 65_535);
    let mut connection = Connection::with_preface(to, wide).await.unwrap();
    let calls = streams(count).fold(Frames::default(), |frames, stream| frames.call(stream, &preview, &request));
    connection.send(&calls).await.unwrap();
    let all = |received: &crate::http2::Received| received.ended.len() == count as usize;
    assert!(
        connection.until_alive(all, Duration::from_secs(60)).await,
        "{} of {count}",
        connection.received().ended.len()
    );
    connection.received().with_message.len()
}

fn page(thread: &str, until_sequence: i32) -> Vec<u8> {
    let conversation_id = thread.to_owned();
    ListEntriesRequest { conversation_id, after_sequence: 0, until_sequence, page_size: 1_000 }.encode_to_vec()
}
