//! A gRPC server: limits, health, reflection, the gate, and an end within a deadline.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};
use tonic_health::ServingStatus;

use crate::{Arrivals, Gate, GateLayer, LimitSettings, Tls, WithinProcess};

/// A connection is told to go after so long and up to a third more, so that calls find replicas that are new. Calls and streams
/// that run on it end in their own time.
const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// How a server listens and ends.
pub struct ServerSettings {
    /// Calls that run when the server is told to stop have so long.
    pub drain: Duration,
    /// What it carries.
    pub limits: LimitSettings,
    /// Its certificates.
    pub tls: Option<Tls>,
    /// Connections of services in this process.
    pub within: (WithinProcess, Arrivals),
}

impl ServerSettings {
    /// Without TLS and limits of callers.
    pub fn plain(drain: Duration) -> Self {
        Self {
            drain,
            limits: LimitSettings::default().without_limits_of_callers(),
            tls: None,
            within: WithinProcess::new(),
        }
    }
}

/// What a server serves.
pub struct Served {
    /// The services.
    pub routes: Routes,
    /// Their names, for health checks.
    pub names: Vec<&'static str>,
    /// The contract, for reflection.
    pub descriptors: &'static [u8],
    /// Whether calls can be served now, for health checks: changes as the database comes and goes.
    pub ready: watch::Receiver<bool>,
}

/// Serves on `listener` until `shutdown`, then lets running calls end for at most `settings.drain`.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    gate: Gate,
    settings: ServerSettings,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    // "" is the whole server: it must not stay SERVING while the server drains.
    let names: Vec<&str> = served.names.iter().copied().chain([""]).collect();
    let mut reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(served.descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health");
    for name in &served.names {
        reflection = reflection.with_service_name(*name);
    }
    let reflection = reflection.build_v1()?;
    let routes = served.routes.add_service(health_service).add_service(reflection);

    let gate = Arc::new(gate);
    let (within, arrivals) = settings.within;
    let incoming = arrivals.and_accepted(&within, listener, &settings.limits, settings.tls.clone(), shutdown.clone());
    // What the transport leaves open without being told, each as large as an honest client needs.
    let server = Server::builder()
        .max_concurrent_streams(settings.limits.streams_per_connection)
        // One connection may carry a gateway's whole crowd, who hang up together when it is restarted.
        .http2_max_pending_accept_reset_streams(Some(64))
        .http2_max_local_error_reset_streams(Some(256))
        .http2_max_header_list_size(16 * 1024)
        .max_frame_size(16 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_connection_age(CONNECTION_AGE + rand::rng().random_range(Duration::ZERO..CONNECTION_AGE / 3))
        .layer(GateLayer(gate.clone()))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    let followed = async {
        match &settings.tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    };

    let drained = async {
        let mut ready = served.ready;
        while !shutdown.is_cancelled() {
            let status = if *ready.borrow_and_update() { ServingStatus::Serving } else { ServingStatus::NotServing };
            for name in &names {
                health.set_service_status(*name, status).await;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                Ok(()) = ready.changed() => {}
            }
        }
        for name in &names {
            health.set_service_status(*name, ServingStatus::NotServing).await;
        }
        tokio::time::sleep(settings.drain).await;
    };
    tokio::select! {
        ended = server => Ok(ended?),
        // An open stream, even a client's watch of the health, would hold the server for ever.
        () = drained => Ok(()),
        () = gate.limits.forget() => Ok(()),
        () = followed => Ok(()),
    }
}
