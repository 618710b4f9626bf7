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

/// Sends a GET with these headers; returns the whole answer.
async fn get(to: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A suite that serves the example pages of this folder, and the address for browsers.
async fn start_with_pages(folder: &std::path::Path) -> (TestSuite, SocketAddr) {
    let web = SocketAddr::from(([127, 0, 0, 1], frontdesk_test_servers::free_port()));
    let suite = TestSuite::start_on(Mode::Embedded, |settings| {
        settings.web.listen = Some(Some(web));
        settings.web.allowed_origins = Some(vec!["*".into()]);
        settings.development.pages_folder = folder.to_owned();
    })
    .await;
    wait_for("the listener for browsers", || async { TcpStream::connect(web).await.ok() }).await;
    (suite, web)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_the_example_pages_get_tokens_and_pages_of_other_origins_do_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>Example</title>").unwrap();
    let (_suite, web) = start_with_pages(folder.path()).await;
    assert!(get(web, "/", "").await.contains("location: /example/index.html\r\n"));
    let page = get(web, "/example/index.html", "").await;
    assert!(
        page.contains("content-type: text/html; charset=utf-8\r\n") && page.ends_with("<title>Example</title>"),
        "{page}"
    );
    assert!(get(web, "/example/../index.html", "").await.starts_with("HTTP/1.1 404 "));
    for path in ["/example/session", "/example/mails"] {
        assert!(get(web, path, "sec-fetch-site: same-origin\r\n").await.starts_with("HTTP/1.1 200 "), "{path}");
        let other = get(web, path, "origin: https://shop.example\r\n").await;
        assert!(other.starts_with("HTTP/1.1 403 ") && !other.contains("token"), "{other}");
    }
    let session = get(web, "/example/session", "").await;
    let body = session.split_once("\r\n\r\n").unwrap().1;
    let session: serde_json::Value = serde_json::from_str(body).unwrap();
    let bearer = |name: &str| format!("Bearer {}", session[name].as_str().unwrap());
    // The services of the inbox are served with the pages.
    for (method, token) in [
        ("frontdesk.conversation.v1.ChannelService/ListChannels", "admin_token"),
        ("frontdesk.conversation.v1.ConversationService/ListConversations", "agent_token"),
    ] {
        let answer = call(web, method, &bearer(token), &(), |_| false).await;
        assert!(contains(&answer, b"grpc-status:0\r\n"), "{method}: {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_not_built_say_how_to_build_them() {
    let folder = tempfile::tempdir().unwrap();
    let (suite, web) = start_with_pages(folder.path()).await;
    assert!(get(web, "/", "").await.contains("make web"));
    assert!(get(web, "/example/session", "").await.starts_with("HTTP/1.1 404 "));
    let admin = bearer(&suite.account().await, CallerKind::Admin);
    let answer = call(web, "frontdesk.conversation.v1.ChannelService/ListChannels", &admin, &(), |_| false).await;
    assert!(contains(&answer, b"grpc-status: 12\r\n"), "{}", String::from_utf8_lossy(&answer));
}
