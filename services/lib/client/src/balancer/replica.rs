//! One replica of a service: its connection, and a call with a time limit.

use std::{
    error::Error,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use frontdesk_transport::{InProcessConnector, Tls};
use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;

use super::{pick::Health, unreachable};

/// Time limit of one attempt at one replica.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of connecting to a replica.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between keepalive pings, and how long the replica may take to answer one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A replica that is called over `C`.
pub(super) struct Replica<C> {
    pub(super) address: SocketAddr,
    pub(super) health: Health,
    channel: C,
}

impl Replica<Channel> {
    /// The replica at `address`, one of those of `host`. It is connected at the first call.
    pub(super) fn connect_lazy(address: SocketAddr, host: &Uri, tls: Option<&Tls>) -> Self {
        let endpoint = endpoint(&format!("http://{address}")).origin(host.clone());
        let channel = match tls.filter(|_| host.scheme_str() == Some("https")) {
            None => endpoint.connect_lazy(),
            Some(tls) => {
                let (tls, name) = (tls.clone(), host.host().unwrap_or_default().trim_matches(['[', ']']).to_owned());
                // Each connection uses the certificates of its time.
                endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                    let (tls, name) = (tls.clone(), name.clone());
                    async move {
                        let stream = TcpStream::connect(address).await?;
                        stream.set_nodelay(true)?;
                        tls.connect(&name, stream).await.map(TokioIo::new)
                    }
                }))
            }
        };
        Self::new(address, channel)
    }

    /// This process, called by the service named `caller`.
    pub(super) fn in_process(connector: &InProcessConnector, caller: &'static str) -> Self {
        let (connector, caller) = (connector.clone(), Arc::from(caller));
        let connector = tower::service_fn(move |_: Uri| {
            let (connector, caller) = (connector.clone(), Arc::clone(&caller));
            async move { connector.connect(&caller).await.map(TokioIo::new) }
        });
        let channel = endpoint("http://in-process").connect_with_connector_lazy(connector);
        Self::new(SocketAddr::from(([0, 0, 0, 0], 0)), channel)
    }
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(address.to_owned())
        .unwrap_or_else(|_| Endpoint::from_static("http://invalid"))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
}

impl<C> Replica<C> {
    pub(super) fn new(address: SocketAddr, channel: C) -> Self {
        Self { address, health: Health::default(), channel }
    }
}

impl<C> Replica<C>
where
    C: Service<Request<Body>, Response = Response<Body>> + Clone,
    C::Error: Error + 'static,
{
    /// One attempt. Fails with UNAVAILABLE and ejects the replica when it does not answer.
    pub(super) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let _guard = self.health.begin_call();
        let mut channel = self.channel.clone();
        let response = async {
            std::future::poll_fn(|context| channel.poll_ready(context)).await?;
            channel.call(request).await
        };
        match tokio::time::timeout(ATTEMPT_TIMEOUT, response).await {
            Ok(Ok(response)) => {
                self.health.succeeded();
                Ok(response)
            }
            Ok(Err(error)) => {
                let error: &(dyn Error + 'static) = &error;
                // The first failure in a row as a warning, with its cause: it may be a wrong certificate.
                match self.health.failed(Instant::now()) {
                    1 => tracing::warn!(address = %self.address, error, "a replica cannot be reached"),
                    _ => tracing::debug!(address = %self.address, error, "a replica cannot be reached"),
                }
                Err(unreachable("its replica cannot be reached"))
            }
            Err(_) => {
                self.health.failed(Instant::now());
                Err(unreachable("its replica does not answer"))
            }
        }
    }
}
