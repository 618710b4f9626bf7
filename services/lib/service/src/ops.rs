//! The operator's HTTP listener: probes and metrics. Private: it has neither TLS nor authentication.

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Readiness;

/// Media type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves `/livez`, `/readyz` and `/metrics` until the shutdown.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness, shutdown: CancellationToken) {
    let ended = axum::serve(listener, router(readiness)).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = ended {
        tracing::error!(%error, "the operator's HTTP listener ended");
    }
}

fn router(readiness: Readiness) -> Router {
    Router::new()
        // Liveness depends on nothing else: a restart repairs no database.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&readiness) }))
        .route("/metrics", get(metrics))
}

fn ready(readiness: &Readiness) -> impl IntoResponse + use<> {
    let problems = readiness.problems();
    match problems.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", problems.join("\n"))),
    }
}

async fn metrics() -> impl IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, PROMETHEUS_TEXT)], frontdesk_telemetry::metrics_text())
}
