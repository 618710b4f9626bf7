//! The listener for browsers, over HTTP/1.1 and HTTP/2: gRPC-Web before the middleware of every call, and CORS before both.
//!
//! Browsers of the whole internet reach it, so it serves only the named services; anything else is refused before authentication.

mod cors;
mod router;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router};
use frontdesk_transport::Tls;
use futures::StreamExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::server::Connected};

pub use self::cors::{AllowedOrigins, OriginError};
use crate::{
    Admission, LimitSettings, http2,
    listener::{Connection, Protocols, accepted},
};

/// How long the head of a request of HTTP/1.1 may take, and a connection wait for the next request.
const HTTP1_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of the head of a request of HTTP/1.1 in bytes.
const HTTP1_MAX_HEAD_SIZE: usize = http2::MAX_HEADER_SIZE as usize;

/// A listener for browsers.
pub struct WebListener {
    /// Accepts their connections.
    pub listener: TcpListener,
    /// Its certificate. None: no TLS.
    pub tls: Option<Tls>,
    /// Full names of the gRPC services that it serves.
    pub services: Vec<String>,
    /// Origins of the pages that may call it.
    pub allowed_origins: AllowedOrigins,
}

/// Serves those of `routes` that the listener names until the shutdown; returns when every connection has ended.
pub(crate) async fn serve(
    web: WebListener,
    routes: Routes,
    admission: Arc<Admission>,
    limits: &LimitSettings,
    shutdown: CancellationToken,
) {
    let WebListener { listener, tls, services, allowed_origins } = web;
    let router = router::router(routes, admission, services, &allowed_origins);
    let server = server(limits);
    let mut accepted = accepted(listener, limits, tls.clone(), Protocols::Http1And2, shutdown.clone());
    let mut connections = JoinSet::new();
    let serve = async {
        loop {
            tokio::select! {
                connection = accepted.next() => match connection {
                    Some(connection) => {
                        connections.spawn(serve_connection(connection, router.clone(), server.clone(), shutdown.clone()));
                    }
                    None => break,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        while connections.join_next().await.is_some() {}
    };
    let reload_certificate = async {
        match &tls {
            Some(tls) => tls.reload_on_change().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serve => {}
        () = reload_certificate => {}
    }
}

/// Serves one connection until its client closes it, or until its maximum age or the shutdown, when calls in progress end in their
/// own time.
async fn serve_connection(
    connection: Connection,
    router: Router,
    server: auto::Builder<TokioExecutor>,
    shutdown: CancellationToken,
) {
    let service = TowerToHyperService::new(router.layer(Extension(connection.connect_info())));
    let mut served = std::pin::pin!(server.serve_connection(TokioIo::new(connection), service));
    tokio::select! {
        _ = served.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(http2::max_connection_age()) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// The server of connections, with the limits of the gRPC listener.
fn server(limits: &LimitSettings) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HTTP1_HEAD_TIMEOUT).max_buf_size(HTTP1_MAX_HEAD_SIZE);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
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
