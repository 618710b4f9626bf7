//! Calls as a browser sends them, over HTTP/1.1: gRPC-Web on the listener of its own. A page in a real browser plays its chat in
//! `clients.rs`.

use std::{net::SocketAddr, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{StartChatRequest, StartChatResponse, WatchChatRequest};
use frontdesk_tests::{Account, Mode, TestSuite, request_id, wait_for};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The service that browsers call by default.
const VISITOR_SERVICE: &str = "frontdesk.conversation.v1.VisitorService";

/// A suite that serves browsers, and the address for them.
async fn start(services: &[&str]) -> (TestSuite, SocketAddr) {
    let web = SocketAddr::from(([127, 0, 0, 1], frontdesk_test_servers::free_port()));
    let suite = TestSuite::start_on(Mode::Embedded, |settings| {
        settings.web.listen = Some(Some(web));
        settings.web.services = services.iter().map(|name| (*name).to_owned()).collect();
        settings.web.allowed_origins = Some(vec!["https://shop.example".into()]);
    })
    .await;
    wait_for("the listener for browsers", || async { TcpStream::connect(web).await.ok() }).await;
    (suite, web)
}

fn bearer(account: &Account, kind: CallerKind) -> String {
    let claims = account.keys.claims(account.id, kind, "caller", Duration::from_secs(60));
    format!("Bearer {}", account.keys.mint(&claims).unwrap())
}

/// Calls the method; returns what was received until `until` accepts it or the answer ends.
async fn call(
    to: SocketAddr,
    method: &str,
    authorization: &str,
    message: &impl Message,
    until: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let head = format!(
        "POST /{method} HTTP/1.1\r\nhost: test\r\norigin: https://shop.example\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\nauthorization: {authorization}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut answer = Vec::new();
    let reading = async { while !until(&answer) && stream.read_buf(&mut answer).await.unwrap() > 0 {} };
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await;
    answer
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The first message of a chunked answer.
fn first_message(answer: &[u8]) -> &[u8] {
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let chunk = body + answer[body..].windows(2).position(|window| window == b"\r\n").unwrap() + 2;
    let [compressed, length @ ..] = *answer[chunk..].first_chunk::<5>().unwrap();
    assert_eq!(compressed, 0);
    &answer[chunk + 5..chunk + 5 + u32::from_be_bytes(length) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_starts_a_chat_and_follows_it() {
    let (suite, web) = start(&[VISITOR_SERVICE]).await;
    let account = suite.account().await;
    let visitor = bearer(&account, CallerKind::Visitor);
    let start_chat = StartChatRequest {
        channel_id: account.channel(None).await,
        page_url: "https://shop.example/page".into(),
        text: "Hello from a page".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let answer = call(web, &format!("{VISITOR_SERVICE}/StartChat"), &visitor, &start_chat, |_| false).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("access-control-allow-origin: https://shop.example\r\n"), "{text}");
    assert!(text.contains("grpc-status:0\r\n"), "{text}");
    let chat = StartChatResponse::decode(first_message(&answer)).unwrap().chat.expect("a chat");
    let watch = WatchChatRequest { chat_id: chat.id, ..Default::default() };
    let said = |answer: &[u8]| contains(answer, b"Hello from a page");
    let watched = call(web, &format!("{VISITOR_SERVICE}/WatchChat"), &visitor, &watch, said).await;
    assert!(said(&watched), "{}", String::from_utf8_lossy(&watched));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_only_the_named_services_are_served_to_browsers() {
    let channels = "frontdesk.conversation.v1.ChannelService/ListChannels";
    let (suite, web) = start(&[VISITOR_SERVICE]).await;
    let admin = bearer(&suite.account().await, CallerKind::Admin);
    for method in [
        channels,
        "frontdesk.dev.v1.MailboxService/ListMails",
        "frontdesk.conversation.internal.v1.ArbiterService/ChangeAssignee",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.health.v1.Health/Check",
    ] {
        let answer = String::from_utf8(call(web, method, &admin, &(), |_| false).await).unwrap();
        assert!(answer.contains("grpc-status: 12\r\n"), "{method}: {answer}");
    }
    let (suite, web) = start(&[VISITOR_SERVICE, "frontdesk.conversation.v1.ChannelService"]).await;
    let admin = bearer(&suite.account().await, CallerKind::Admin);
    let answer = call(web, channels, &admin, &(), |_| false).await;
    assert!(contains(&answer, b"grpc-status:0\r\n"), "{}", String::from_utf8_lossy(&answer));
}

/// The body of an answer of an audited method was read for the audit log, and has a known size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_of_an_audited_method_has_its_status() {
    let channels = "frontdesk.conversation.v1.ChannelService";
    let (suite, web) = start(&[channels]).await;
    let account = suite.account().await;
    let (admin, channel_id) = (bearer(&account, CallerKind::Admin), account.channel(None).await);
    let delete = frontdesk_proto::conversation::v1::DeleteChannelRequest { channel_id };
    let answer = call(web, &format!("{channels}/DeleteChannel"), &admin, &delete, |_| false).await;
    assert!(contains(&answer, b"grpc-status:0\r\n"), "{}", String::from_utf8_lossy(&answer));
}
