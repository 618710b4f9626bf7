//! A gRPC server: the listener, admission, health, reflection, and a shutdown within a time limit.

use std::{borrow::Cow, sync::Arc, time::Duration};

use frontdesk_transport::{InProcessListener, Tls};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::Layer;

use crate::{
    Admission, CallLayer, LimitSettings, WebListener,
    listener::{ConnectionSettings, Protocols, incoming, serve_connections},
    reflection::add_reflection,
    web,
};

/// How a server listens and shuts down.
pub struct ServerSettings {
    /// Time limit of calls in progress at the shutdown.
    pub drain: Duration,
    /// The limits of this process.
    pub limits: LimitSettings,
    /// The certificates. None: no TLS.
    pub tls: Option<Tls>,
    /// Connections of services in this process.
    pub in_process: Option<InProcessListener>,
    /// The listener for browsers.
    pub web: Option<WebListener>,
}

impl ServerSettings {
    /// Without TLS, connections of this process, and limits of single callers.
    pub fn plain(drain: Duration) -> Self {
        let limits = LimitSettings::default().without_caller_limits();
        Self { drain, limits, tls: None, in_process: None, web: None }
    }
}

/// The gRPC services of a server.
pub struct GrpcServices {
    /// The services.
    pub routes: Routes,
    /// Their names, for health checks.
    pub names: Vec<&'static str>,
    /// Names of those that reflection lists.
    pub listed: Vec<&'static str>,
    /// The encoded descriptors that reflection shows.
    pub descriptors: Cow<'static, [u8]>,
    /// Whether calls can be served now, for health checks: false while the database cannot be reached.
    pub ready: watch::Receiver<bool>,
}

/// Serves on `listener` until `shutdown`, then lets calls in progress end within `settings.drain`.
pub async fn serve(
    listener: TcpListener,
    services: GrpcServices,
    admission: Admission,
    settings: ServerSettings,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let ServerSettings { drain, limits, tls, in_process, web } = settings;
    let (health, health_service) = tonic_health::server::health_reporter();
    let admission = Arc::new(admission);
    let (calls, for_browsers, stop) = (services.routes.clone(), admission.clone(), shutdown.clone());
    let web = async {
        if let Some(web) = web {
            web::serve(web, calls, for_browsers, &limits, stop).await;
        }
    };
    let routes = services.routes.add_service(health_service);
    let routes = add_reflection(routes, &services.descriptors, &services.listed)?;
    let incoming = incoming(in_process, listener, &limits, tls.clone(), shutdown.clone());
    let settings = ConnectionSettings { protocols: Protocols::Http2, max_streams: limits.streams_per_connection };
    let service = CallLayer(admission.clone()).layer(routes.prepare());
    let server = serve_connections(incoming, service, settings, shutdown.clone());
    let reload_certificates = async {
        match &tls {
            Some(tls) => tls.reload_on_change().await,
            None => std::future::pending().await,
        }
    };
    let drained = async {
        report_health(&health, services.names, services.ready, &shutdown).await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        _ = async { tokio::join!(server, web) } => {}
        // An open stream, for example a client's watch of the health service, would keep the server running.
        () = drained => {}
        () = admission.maintain() => {}
        () = reload_certificates => {}
    }
    admission.finish().await;
    Ok(())
}

/// Reports whether the services can be served until the shutdown, and that they cannot from then on.
async fn report_health(
    health: &HealthReporter,
    names: Vec<&'static str>,
    mut ready: watch::Receiver<bool>,
    shutdown: &CancellationToken,
) {
    // The empty name stands for the whole server.
    let names: Vec<&str> = names.into_iter().chain([""]).collect();
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
}

#[cfg(test)]
mod tests {
    use frontdesk_audit::AuditLog;
    use frontdesk_auth::{AccessMap, DevelopmentKey, Identity};
    use frontdesk_clock::Clock;
    use tonic::transport::Endpoint;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus as Status, health_client::HealthClient,
    };

    use super::*;
    use crate::AuditLayer;

    fn admission() -> Admission {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let key = DevelopmentKey::load_or_create(&folder.path().join("key"), &clock).unwrap();
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        Admission::new(Identity::from_development_key(&key), access, audit, &LimitSettings::default(), &clock)
    }

    #[tokio::test]
    async fn a_server_reports_its_health_and_shuts_down_despite_an_open_stream() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (ready, shutdown) = (watch::Sender::new(true), CancellationToken::new());
        let names = vec!["frontdesk.test.v1.TestService"];
        let descriptors = frontdesk_proto::DESCRIPTORS;
        let (listed, descriptors) = (names.clone(), descriptors.into());
        let services = GrpcServices { routes: Routes::default(), names, listed, descriptors, ready: ready.subscribe() };
        let settings = ServerSettings::plain(Duration::from_millis(20));
        let server = tokio::spawn(serve(listener, services, admission(), settings, shutdown.clone()));

        let mut client = HealthClient::new(Endpoint::from_shared(address).unwrap().connect_lazy());
        let request = HealthCheckRequest { service: "frontdesk.test.v1.TestService".into() };
        let mut health = client.watch(request).await.unwrap().into_inner();
        let mut next = async || health.message().await.unwrap().unwrap().status();
        assert_eq!(next().await, Status::Serving);
        ready.send(false).unwrap();
        assert_eq!(next().await, Status::NotServing);
        ready.send(true).unwrap();
        assert_eq!(next().await, Status::Serving);
        shutdown.cancel();
        assert_eq!(next().await, Status::NotServing);
        server.await.unwrap().unwrap();
    }
}
