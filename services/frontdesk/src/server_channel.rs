//! A client channel to all services, wherever they run: each call goes to the service that serves its method.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use frontdesk_client::Balancer;
use http::{Request, Response};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service as TowerService;

use crate::{PerService, Service, Settings};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel to the four services. Clones share the connections.
#[derive(Clone)]
pub struct ServerChannel(PerService<Route>);

/// The connections to one service.
#[derive(Clone)]
enum Route {
    One(Channel),
    Replicas(Balancer),
}

/// An address is invalid, or does not answer.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl ServerChannel {
    /// To a server that runs all services at one address. Connects at the first call, and again after a restart.
    pub fn at(address: &str) -> Result<Self, Failure> {
        let route = route(address)?;
        Ok(Self(PerService {
            conversation: route.clone(),
            assignment: route.clone(),
            bot_session: route.clone(),
            notification: route,
        }))
    }

    /// To the services at the addresses of the settings' peers.
    pub fn to_peers(settings: &Settings) -> Result<Self, Failure> {
        let peers = &settings.peers;
        Ok(Self(PerService {
            conversation: route(&peers.conversation)?,
            assignment: route(&peers.assignment)?,
            bot_session: route(&peers.bot_session)?,
            notification: route(&peers.notification)?,
        }))
    }

    /// The route of the method at this path. Methods that every service serves (the development clock and mailbox) go to
    /// the notification service, which has the mailbox.
    fn route(&self, path: &str) -> &Route {
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let serves = |service: &Service| service.definition().grpc_services.contains(&name);
        self.0.get(Service::ALL.into_iter().find(serves).unwrap_or(Service::Notification))
    }
}

/// The connections to one, or with commas to several replicas of a service. Call it within a runtime.
fn route(addresses: &str) -> Result<Route, Failure> {
    if addresses.contains(',') {
        return Ok(Route::Replicas(Balancer::try_new(addresses, None)?));
    }
    let is_complete = |endpoint: &Endpoint| endpoint.uri().scheme_str() == Some("http");
    let endpoint = Endpoint::from_shared(addresses.to_owned()).ok().filter(is_complete);
    let endpoint = endpoint.ok_or_else(|| format!("{addresses:?} is not an address such as http://127.0.0.1:7700"))?;
    Ok(Route::One(endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).connect_lazy()))
}

impl TowerService<Request<Body>> for ServerChannel {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let route = self.route(request.uri().path()).clone();
        Box::pin(async move {
            match route {
                Route::One(mut channel) => {
                    poll_fn(|context| channel.poll_ready(context)).await?;
                    Ok(channel.call(request).await?)
                }
                Route::Replicas(mut replicas) => Ok(replicas.call(request).await?),
            }
        })
    }
}
