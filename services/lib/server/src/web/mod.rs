//! The listener for browsers, over HTTP/1.1 and HTTP/2: gRPC-Web before the middleware of every call, CORS before both, and routes of
//! plain HTTP that services have beside their calls.
//!
//! Browsers of the whole internet reach it, so it serves only the named services; anything else is refused before authentication.

mod cors;
mod router;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use frontdesk_transport::Tls;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use self::cors::{AllowedOrigins, OriginError};
use crate::{
    Admission, LimitSettings,
    listener::{ConnectionSettings, Protocols, accepted, serve_connections},
};

/// A listener for browsers.
pub struct WebListener {
    /// Accepts their connections.
    pub listener: TcpListener,
    /// Its certificate. None: no TLS.
    pub tls: Option<Tls>,
    /// Full names of the gRPC services that it serves.
    pub services: Vec<String>,
    /// Routes of plain HTTP beside them, which see requests that are counted by address and not authenticated.
    pub routes: Router,
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
    let WebListener { listener, tls, services, routes: http, allowed_origins } = web;
    let calls = router::Calls::new(routes, admission.clone(), services);
    let router = router::router(calls, http, admission, &allowed_origins);
    let protocols = Protocols::Http1And2;
    let accepted = accepted(listener, limits, tls.clone(), protocols, shutdown.clone());
    let settings = ConnectionSettings { protocols, max_streams: limits.streams_per_connection };
    let serve = serve_connections(accepted, router, settings, shutdown);
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
