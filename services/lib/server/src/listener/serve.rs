//! Serves connections: the calls of each go to one service.

use std::{convert::Infallible, error::Error, pin::pin, time::Duration};

use futures::{Stream, StreamExt};
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, transport::server::Connected};
use tower::{Service, ServiceExt};

use super::{Connection, Protocols, call_task::CallExecutor};
use crate::http2;

/// How long the head of a request of HTTP/1.1 may take, and a connection wait for the next request.
pub(crate) const HTTP1_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of the head of a request of HTTP/1.1 in bytes.
const HTTP1_MAX_HEAD_SIZE: usize = http2::MAX_HEADER_SIZE as usize;

/// How connections are served.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionSettings {
    pub(crate) protocols: Protocols,
    /// Maximum number of concurrent calls and streams of one connection.
    pub(crate) max_streams: u32,
}

/// Serves the calls of `connections` until the shutdown; returns when every connection has ended. Each call has the
/// [`PeerInfo`](super::PeerInfo) of its connection.
pub(crate) async fn serve_connections<S, B>(
    connections: impl Stream<Item = Connection>,
    service: S,
    settings: ConnectionSettings,
    shutdown: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut connections, mut open) = (Box::pin(connections), JoinSet::new());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = open.join_next() => {}
            connection = connections.next() => match connection {
                Some(connection) => {
                    open.spawn(serve_connection(connection, service.clone(), settings, shutdown.clone()));
                }
                None => break,
            },
        }
    }
    // New connections are refused, so that their clients go to another replica, and those that wait here are closed.
    drop(connections);
    while open.join_next().await.is_some() {}
}

/// Serves one connection until its client closes it, or until its maximum age or the shutdown, when calls in progress end in their
/// own time.
async fn serve_connection<S, B>(
    connection: Connection,
    service: S,
    settings: ConnectionSettings,
    shutdown: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let peer = connection.connect_info();
    let server = server(settings);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.clone().oneshot(request.map(Body::new))
    });
    let mut served = pin!(server.serve_connection(TokioIo::new(connection), service));
    tokio::select! {
        _ = served.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(http2::max_connection_age()) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// The server of a connection, with its limits.
fn server(settings: ConnectionSettings) -> Builder<CallExecutor> {
    let mut server = Builder::new(CallExecutor);
    if settings.protocols == Protocols::Http2 {
        server = server.http2_only();
    }
    server.http1().timer(TokioTimer::new()).header_read_timeout(HTTP1_HEAD_TIMEOUT).max_buf_size(HTTP1_MAX_HEAD_SIZE);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_pending_accept_reset_streams(http2::MAX_PENDING_ACCEPT_RESET_STREAMS)
        .max_local_error_reset_streams(http2::MAX_LOCAL_ERROR_RESET_STREAMS)
        .max_header_list_size(http2::MAX_HEADER_SIZE)
        .max_frame_size(http2::MAX_FRAME_SIZE)
        .initial_stream_window_size(http2::STREAM_WINDOW)
        .initial_connection_window_size(http2::CONNECTION_WINDOW)
        .keep_alive_interval(http2::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(http2::KEEPALIVE_TIMEOUT);
    server
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use frontdesk_transport::InProcessConnector;
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{BodyExt, Empty, Full, StreamBody};
    use hyper::client::conn::http2::SendRequest;
    use hyper_util::rt::TokioExecutor;
    use tokio::time::Instant;

    use super::*;
    use crate::listener::{PeerInfo, in_process_connections, reset_at, reset_when};

    /// How long the client of a test may take to read an answer.
    const TIME_TO_READ: Duration = Duration::from_secs(10);

    /// Size of a large answer in bytes.
    const LARGE: usize = 1024 * 1024;

    /// A large answer in pieces: hyper buffers what it gets.
    fn large() -> Body {
        let pieces = (0..LARGE / 1024).map(|_| Ok::<_, tonic::Status>(Frame::data(Bytes::from_static(&[7; 1024]))));
        Body::new(StreamBody::new(stream::iter(pieces)))
    }

    /// A large answer, and then a status.
    fn large_with_trailers() -> Body {
        let pieces = (0..LARGE / 1024).map(|_| Ok::<_, tonic::Status>(Frame::data(Bytes::from_static(&[7; 1024]))));
        let status = (http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static("14"));
        let trailers = Frame::trailers(http::HeaderMap::from_iter([status]));
        Body::new(StreamBody::new(stream::iter(pieces.chain([Ok(trailers)]))))
    }

    /// Answers `/large` with an answer that is to be read in time, `/patient` with one that has twice the time and a status, `/open`
    /// with a stream that does not end, and anything but `/panic` at once.
    async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
        assert!(request.extensions().get::<PeerInfo>().is_some());
        Ok(Response::new(match request.uri().path() {
            "/large" => {
                assert!(reset_at(Instant::now() + TIME_TO_READ, "an answer"));
                large()
            }
            "/patient" => {
                let first = Instant::now() + TIME_TO_READ;
                let last = first + TIME_TO_READ;
                let extend = move || (Instant::now() < last).then_some(last);
                assert!(reset_when(first, extend, "an answer"));
                large_with_trailers()
            }
            "/panic" => panic!("planted"),
            "/open" => Body::new(StreamBody::new(stream::pending::<Result<_, tonic::Status>>())),
            _ => Body::new(Full::new(Bytes::from_static(b"answer"))),
        }))
    }

    /// A client on a connection to a server that answers, and the way to another connection.
    async fn client(shutdown: CancellationToken) -> (SendRequest<Empty<Bytes>>, InProcessConnector) {
        let (connector, listener) = InProcessConnector::new();
        let settings = ConnectionSettings { protocols: Protocols::Http2, max_streams: 10 };
        let connections = in_process_connections(listener);
        tokio::spawn(serve_connections(connections, tower::service_fn(answer), settings, shutdown));
        let stream = connector.connect(&Arc::from("test")).await.unwrap();
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(64 * 1024);
        let (client, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        (client, connector)
    }

    async fn call(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
        client.send_request(Request::post(path).body(Empty::new()).unwrap()).await.unwrap().into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn s4_a_call_whose_answer_is_not_read_is_reset_and_the_others_of_its_connection_go_on() {
        let (mut client, _) = client(CancellationToken::new()).await;
        let mut open = call(&mut client, "/open").await;
        let read = call(&mut client, "/large").await.collect().await.unwrap().to_bytes();
        assert_eq!(read.len(), LARGE);
        let unread = call(&mut client, "/large").await;
        tokio::time::sleep(TIME_TO_READ + Duration::from_secs(1)).await;
        let error = unread.collect().await.map(|read| read.to_bytes().len()).unwrap_err();
        assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
        assert_eq!(call(&mut client, "/").await.collect().await.unwrap().to_bytes(), "answer");
        assert!(futures::poll!(open.frame()).is_pending(), "the stream is open");
    }

    #[tokio::test(start_paused = true)]
    async fn c10_a_client_that_reads_again_before_the_reset_receives_the_rest_and_the_status() {
        let (mut client, _) = client(CancellationToken::new()).await;
        let late = call(&mut client, "/patient").await;
        tokio::time::sleep(TIME_TO_READ + Duration::from_secs(1)).await;
        let read = late.collect().await.unwrap();
        assert_eq!(read.trailers().unwrap()["grpc-status"], "14");
        assert_eq!(read.to_bytes().len(), LARGE);
        let too_late = call(&mut client, "/patient").await;
        tokio::time::sleep(2 * TIME_TO_READ + Duration::from_secs(1)).await;
        assert!(too_late.collect().await.is_err());
    }

    #[tokio::test]
    async fn i22_a_call_that_panics_ends_alone() {
        let (mut client, _) = client(CancellationToken::new()).await;
        let panics = client.send_request(Request::post("/panic").body(Empty::new()).unwrap()).await;
        assert!(panics.is_err());
        assert_eq!(call(&mut client, "/").await.collect().await.unwrap().to_bytes(), "answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_takes_no_connection_while_calls_end() {
        let shutdown = CancellationToken::new();
        let (mut client, connector) = client(shutdown.clone()).await;
        let mut open = call(&mut client, "/open").await;
        shutdown.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(connector.connect(&Arc::from("test")).await.is_err());
        assert!(futures::poll!(open.frame()).is_pending(), "the stream is open");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_lets_calls_in_progress_end() {
        let shutdown = CancellationToken::new();
        let (mut client, _) = client(shutdown.clone()).await;
        let unread = call(&mut client, "/large").await;
        shutdown.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(unread.collect().await.unwrap().to_bytes().len(), LARGE);
        assert!(client.ready().await.is_err(), "no other call is accepted");
    }
}
