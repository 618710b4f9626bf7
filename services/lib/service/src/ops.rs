//! The operator's HTTP listener: probes and metrics. It has neither TLS nor authentication, so it belongs on a private network;
//! its connections are limited nevertheless, since a scan must not use up the process's descriptors or memory.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{AnyService, Readiness};

/// Media type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Maximum number of connections; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may take in all; it serves one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of the head of a request, in bytes.
const MAX_HEAD_SIZE: usize = 16 * 1024;
/// Pause after a connection that could not be accepted, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What `/readyz` shows.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) readiness: Readiness,
    pub(crate) services: Vec<Arc<dyn AnyService>>,
}

/// Serves `/livez`, `/readyz` and `/metrics` until the shutdown, which closes the connections.
pub(crate) async fn serve(listener: Arc<TcpListener>, health: Health, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router(health));
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        let mut connections = JoinSet::new();
        while let Ok(permit) = permits.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let service = service.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serve_connection(stream, service)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the operator's HTTP listener could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    let _ = shutdown.run_until_cancelled(accept).await;
}

/// Serves one request. Its failure concerns its client only.
async fn serve_connection(stream: TcpStream, service: TowerToHyperService<Router>) {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_SIZE)
        .keep_alive(false);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of the operator's HTTP listener failed");
    }
}

fn router(health: Health) -> Router {
    Router::new()
        // Liveness depends on nothing else: a restart repairs no database.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&health) }))
        .route("/metrics", get(metrics))
}

/// The problems, or else `ok`; then the warnings, which do not take the process out of service.
fn ready(health: &Health) -> impl IntoResponse + use<> {
    let mut lines = health.readiness.problems();
    let status = if lines.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if lines.is_empty() {
        lines.push("ok".into());
    }
    let warnings = health.services.iter().flat_map(|service| service.warnings());
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    (status, format!("{}\n", lines.join("\n")))
}

async fn metrics() -> impl IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, PROMETHEUS_TEXT)], frontdesk_telemetry::metrics_text())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use frontdesk_auth::VisitorKeyStore;
    use frontdesk_bus::Bus;
    use frontdesk_db::{AccountId, Db};
    use futures::future::BoxFuture;
    use tonic::service::RoutesBuilder;

    use super::*;
    use crate::{BuildError, ServiceDefinition, Worker};

    /// A service that works, with something to repair.
    struct Warned;

    impl AnyService for Warned {
        fn definition(&self) -> ServiceDefinition {
            unimplemented!("not asked")
        }

        fn routes(&self, _: &mut RoutesBuilder) {}

        fn subscribe(&self, _: &Bus) {}

        fn workers(&self) -> Vec<Worker> {
            Vec::new()
        }

        fn warnings(&self) -> Vec<String> {
            vec!["the mail server refuses every mail".into()]
        }

        fn http_routes(&self) -> Router {
            Router::new()
        }

        fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>> {
            None
        }

        fn erase_files_of(&self, _: AccountId) -> BoxFuture<'static, Result<(), BuildError>> {
            unimplemented!("not asked")
        }

        fn db(&self) -> &Db {
            unimplemented!("not asked")
        }
    }

    #[tokio::test]
    async fn t8_a_warning_is_shown_by_a_process_that_is_ready() {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let health = Health { readiness: Readiness::default(), services: vec![Arc::new(Warned)] };
        let serving = tokio::spawn(serve(listener, health, CancellationToken::new()));
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
        assert!(ready.ends_with("ok\nwarning: the mail server refuses every mail\n"), "{ready}");
        serving.abort();
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn probes_are_answered_beside_more_silent_connections_than_the_limit() {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let (readiness, shutdown) = (Readiness::default(), CancellationToken::new());
        let serving = tokio::spawn(serve(
            listener,
            Health { readiness: readiness.clone(), services: Vec::new() },
            shutdown.clone(),
        ));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
        readiness.set("the database of test does not answer", true);
        let unready = get(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503 ") && unready.ends_with("does not answer\n"), "{unready}");

        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"G").await.unwrap();
            silent.push(stream);
        }
        let probe = tokio::time::timeout(CONNECTION_TIMEOUT * 2, get(address, "/livez")).await;
        assert!(probe.unwrap().starts_with("HTTP/1.1 200 "));

        silent.push(TcpStream::connect(address).await.unwrap());
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(1), serving).await.expect("an end at once").unwrap();
    }
}
