//! The listener for browsers, called with bytes as a browser sends them.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use frontdesk_audit::AuditLog;
use frontdesk_auth::{Access, AccessMap, CallerKind, DevelopmentKey, Identity};
use frontdesk_clock::Clock;
use frontdesk_db::AccountId;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::Endpoint};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use super::{AllowedOrigins, WebListener, serve};
use crate::{Admission, AuditLayer, LimitSettings, listener::HTTP1_HEAD_TIMEOUT};

/// The service that is served to browsers.
const SERVICE: &str = "frontdesk.conversation.v1.VisitorService";
/// A gRPC message of three bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\x03abc";

/// Answers every call with [`MESSAGE`], and then ends, or does not: a watch without news.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = SERVICE;
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let status = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), "0".parse().unwrap())]);
        let is_endless = request.headers().contains_key("endless");
        let end = async move { if is_endless { std::future::pending().await } else { Some(Ok(status)) } };
        let body = Body::new(Full::new(Bytes::from_static(MESSAGE)).with_trailers(end));
        let response = Response::builder().header("content-type", "application/grpc").body(body).unwrap();
        Box::pin(std::future::ready(Ok(response)))
    }
}

struct Server {
    address: SocketAddr,
    key: DevelopmentKey,
    /// Paths of two methods that visitors may call: one with a single answer, and one that streams.
    unary: String,
    streaming: String,
    shutdown: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    async fn start(limits: LimitSettings, origins: &[&str]) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let key = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let visitor = key.verify(&token(&key)).unwrap();
        let method = |streams| {
            let is_open = |path: &str, access: &Access| {
                path.starts_with(&format!("/{SERVICE}/"))
                    && access.streams() == streams
                    && access.check(&visitor).is_ok()
            };
            access.iter().find(|(path, access)| is_open(path, access)).unwrap().0.to_owned()
        };
        let (unary, streaming) = (method(false), method(true));
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let identity = Identity::from_development_key(&key);
        let admission = Arc::new(Admission::new(identity, access, audit, &limits, &clock));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let allowed_origins = AllowedOrigins::try_new(&origins).unwrap();
        let http = Router::new().route("/files/{name}", get(|| async { "file" }).put(|body: String| async { body }));
        let services = vec![SERVICE.to_owned()];
        let web = WebListener { listener, tls: None, services, routes: http, allowed_origins };
        let (routes, shutdown) = (Routes::new(Echo), CancellationToken::new());
        let stop = shutdown.clone();
        tokio::spawn(async move { serve(web, routes, admission, &limits, stop).await });
        Self { address, key, unary, streaming, shutdown }
    }

    async fn open() -> Self {
        Self::start(LimitSettings::default(), &["*"]).await
    }

    /// A request with these headers, on a connection of its own.
    async fn send(&self, request: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{request} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await.unwrap();
        stream
    }

    /// The whole answer.
    async fn exchange(&self, request: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let mut stream = self.send(request, &[headers, &[("connection", "close")]].concat(), body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Calls the method at this path, as a visitor on a page.
    async fn call(&self, path: &str, more: &[(&str, &str)], body: &[u8]) -> String {
        let headers = self.headers();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.exchange(&format!("POST {path}"), &[&headers, more].concat(), body).await
    }

    fn headers(&self) -> [(&'static str, String); 4] {
        [
            ("origin", "https://shop.example".to_owned()),
            ("content-type", "application/grpc-web+proto".to_owned()),
            ("x-grpc-web", "1".to_owned()),
            ("authorization", format!("Bearer {}", token(&self.key))),
        ]
    }

    /// Opens a stream, and reads its first message.
    async fn open_stream(&self) -> Option<TcpStream> {
        let headers = self.headers();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("POST {}", self.streaming);
        let mut stream = self.send(&path, &[&headers[..], &[("endless", "1")]].concat(), MESSAGE).await;
        let mut answer = Vec::new();
        while !contains(&answer, MESSAGE) {
            if stream.read_buf(&mut answer).await.unwrap() == 0 || contains(&answer, b"grpc-status: 8") {
                return None;
            }
        }
        Some(stream)
    }

    async fn preflight(&self, origin: &str) -> String {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,x-grpc-web"),
        ];
        self.exchange(&format!("OPTIONS {}", self.unary), &headers, b"").await
    }
}

fn token(key: &DevelopmentKey) -> String {
    key.mint(&key.claims(AccountId(Uuid::from_u128(1)), CallerKind::Visitor, "visitor", Duration::from_secs(60)))
        .unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_page_calls_over_http1() {
    let server = Server::open().await;
    for path in [&server.unary, &server.streaming] {
        let answer = server.call(path, &[], MESSAGE).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: application/grpc-web+proto\r\n"), "{answer}");
        assert!(answer.contains("access-control-allow-origin: *\r\n") && !answer.contains("credentials"), "{answer}");
        let message = String::from_utf8_lossy(MESSAGE);
        // The trailers are a frame of the body: 0x80, the length, and the lines.
        let trailers = answer.split_once(&*message).unwrap_or_else(|| panic!("{answer}")).1;
        assert!(trailers.contains("grpc-status:0\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_page_calls_over_http2() {
    let server = Server::open().await;
    let mut channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect_lazy();
    for path in [&server.unary, &server.streaming] {
        let mut request = Request::post(path.as_str()).body(Body::new(Full::new(Bytes::from_static(MESSAGE)))).unwrap();
        for (name, value) in server.headers() {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.headers()["content-type"], "application/grpc-web+proto");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(MESSAGE) && contains(&body, b"grpc-status:0\r\n"), "{body:?}");
    }
}

#[tokio::test]
async fn a_call_in_base64_is_answered_in_base64_and_a_broken_one_is_refused() {
    let server = Server::open().await;
    // A client need not say what it accepts.
    let text = [("content-type", "application/grpc-web-text"), ("accept", "*/*")];
    for (body, found) in
        [("AAAAAANhYmM=", "AAAAAANhYmM="), ("AAAAAANhYm", "grpc-status: 3"), ("!!!!", "grpc-status: 3")]
    {
        let bearer = format!("Bearer {}", token(&server.key));
        let headers = [&text[..], &[("authorization", bearer.as_str())]].concat();
        let answer = server.exchange(&format!("POST {}", server.unary), &headers, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(found), "{body}: {answer}");
    }
}

#[tokio::test]
async fn s1_a_refused_page_can_read_why() {
    let server = Server::open().await;
    let headers = [("origin", "https://shop.example"), ("content-type", "application/grpc-web+proto")];
    let answer = server.exchange(&format!("POST {}", server.unary), &headers, MESSAGE).await;
    assert!(answer.contains("grpc-status: 16\r\n") && answer.contains("grpc-status-details-bin: "), "{answer}");
    let exposed = "access-control-expose-headers: grpc-status,grpc-message,grpc-status-details-bin\r\n";
    assert!(answer.contains(exposed), "{answer}");
}

#[tokio::test]
async fn s1_other_services_are_refused_before_authentication_and_other_requests_are_not_found() {
    let server = Server::open().await;
    for path in [
        "/frontdesk.conversation.v1.ChannelService/ListChannels",
        "/frontdesk.conversation.internal.v1.ThreadService/AppendEntry",
        "/frontdesk.dev.v1.MailboxService/ListMails",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let headers = [("content-type", "application/grpc-web+proto")];
        let answer = server.exchange(&format!("POST {path}"), &headers, MESSAGE).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("grpc-status: 12\r\n"),
            "{path}: {answer}"
        );
    }
    for (method, content_type) in
        [("GET", "application/grpc-web+proto"), ("POST", "application/grpc"), ("POST", "application/json"), ("PUT", "")]
    {
        let headers = [("content-type", content_type)];
        let answer = server.exchange(&format!("{method} {}", server.unary), &headers, b"").await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{method} {content_type}: {answer}");
        assert!(answer.contains("gRPC-Web"), "{answer}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token_and_allows_the_listed_origins_only() {
    let server = Server::start(LimitSettings::default(), &["https://shop.example"]).await;
    let allowed = server.preflight("https://shop.example").await.to_lowercase();
    for header in [
        "http/1.1 200 ok",
        "access-control-allow-origin: https://shop.example",
        "access-control-allow-methods: post",
        "access-control-allow-headers: authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent",
        "access-control-max-age: 7200",
        "vary: origin",
    ] {
        assert!(allowed.contains(&format!("{header}\r\n")), "{header}: {allowed}");
    }
    assert!(!allowed.contains("credentials"), "{allowed}");
    let refused = server.preflight("https://other.example").await;
    assert!(!refused.contains("access-control-allow-origin") && refused.contains("vary: origin"), "{refused}");
    let closed = Server::start(LimitSettings::default(), &[]).await;
    assert!(!closed.preflight("https://shop.example").await.contains("access-control-allow-origin"));
}

#[tokio::test]
async fn s4_a_flood_of_preflights_from_one_address_is_refused_and_calls_are_not() {
    let server = Server::start(LimitSettings { preflight_rate: 1, ..LimitSettings::default() }, &["*"]).await;
    for _ in 0..3 {
        assert!(server.preflight("https://shop.example").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let refused = server.preflight("https://shop.example").await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(server.call(&server.unary, &[], MESSAGE).await.contains("grpc-status:0\r\n"));
}

#[tokio::test]
async fn a_route_of_plain_http_is_served_beside_the_calls_and_has_a_preflight_of_its_own() {
    let server = Server::start(LimitSettings::default(), &["https://shop.example"]).await;
    let origin = [("origin", "https://shop.example")];
    for (request, body) in [("GET /files/a", ""), ("PUT /files/a", "file")] {
        let answer = server.exchange(request, &origin, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("file"), "{answer}");
        assert!(answer.contains("access-control-allow-origin: https://shop.example\r\n"), "{answer}");
    }
    let preflight = [origin[0], ("access-control-request-method", "PUT")];
    let allowed = server.exchange("OPTIONS /files/a", &preflight, b"").await.to_lowercase();
    assert!(allowed.contains("access-control-allow-methods: get,put\r\n"), "{allowed}");
    let missing = server.exchange("GET /other/a", &origin, b"").await;
    assert!(missing.starts_with("HTTP/1.1 404 Not Found\r\n") && missing.contains("gRPC-Web"), "{missing}");
    assert!(server.call(&server.unary, &[], MESSAGE).await.contains("grpc-status:0\r\n"));
}

#[tokio::test]
async fn s4_a_flood_of_requests_of_plain_http_from_one_address_is_refused_and_calls_are_not() {
    let server = Server::start(LimitSettings { http_rate: 1, ..LimitSettings::default() }, &["*"]).await;
    for _ in 0..3 {
        assert!(server.exchange("GET /files/a", &[], b"").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let refused = server.exchange("GET /files/a", &[], b"").await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(server.call(&server.unary, &[], MESSAGE).await.contains("grpc-status:0\r\n"));
}

#[tokio::test]
async fn s4_a_stream_ends_when_the_page_closes_it() {
    let server = Server::start(LimitSettings { streams: 1, ..LimitSettings::default() }, &["*"]).await;
    let open = server.open_stream().await.expect("the first stream");
    assert!(server.open_stream().await.is_none(), "the only permit is taken");
    drop(open);
    tokio::time::timeout(Duration::from_secs(5), async { while server.open_stream().await.is_none() {} })
        .await
        .expect("a free permit");
}

#[tokio::test]
async fn s4_the_connections_of_browsers_are_limited() {
    let server = Server::start(LimitSettings { connections_per_address: 1, ..LimitSettings::default() }, &["*"]).await;
    let _open = server.open_stream().await.expect("the first connection");
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let _ = second.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(matches!(second.read(&mut [0; 1]).await, Ok(0) | Err(_)), "the second connection is closed");
}

#[tokio::test]
async fn s4_the_head_of_a_request_is_limited() {
    let server = Server::open().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close the connection before it has read all of it.
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024)).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(start_paused = true)]
async fn s4_a_client_that_sends_half_a_head_is_closed() {
    let server = Server::open().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(HTTP1_HEAD_TIMEOUT + Duration::from_secs(1), stream.read_to_end(&mut answer));
    assert!(closed.await.is_ok(), "the connection is closed");
}

#[tokio::test]
async fn a_shutdown_waits_for_no_idle_connection() {
    let server = Server::open().await;
    let mut idle = server.send(&format!("GET {}", server.unary), &[], b"").await;
    let mut answer = vec![0; 16];
    idle.read_exact(&mut answer).await.unwrap();
    server.shutdown.cancel();
    let closed = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is closed");
}
