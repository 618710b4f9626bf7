//! A caller's way to a whole suite, wherever its services are: each call goes to the service that serves its method.

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

use crate::{Service, Settings};

/// Ways to the four services. Clones share them.
#[derive(Clone)]
pub struct SuiteChannel([Way; 4]);

#[derive(Clone)]
enum Way {
    One(Channel),
    Several(Balancer),
}

/// An address is wrong, or nobody answers there.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl SuiteChannel {
    /// To a suite that serves everything at one address; connects at the first call, and again after a restart.
    pub fn at(address: &str) -> Result<Self, Failure> {
        let way = way(address)?;
        Ok(Self([way.clone(), way.clone(), way.clone(), way]))
    }

    /// To the services at the addresses of the settings' peers.
    pub fn to_peers(settings: &Settings) -> Result<Self, Failure> {
        let [conversation, assignment, bot_session, notification] =
            Service::ALL.map(|service| way(settings.peer(service)));
        Ok(Self([conversation?, assignment?, bot_session?, notification?]))
    }

    /// The service that serves the method at this path. What all serve, as the development clock, and the mailbox, are asked
    /// of the notification service.
    fn of(&self, path: &str) -> &Way {
        let serves = |service: &Service| path.trim_start_matches('/').starts_with(service.package());
        &self.0[Service::ALL.iter().position(serves).unwrap_or(3)]
    }
}

/// To one or, with commas, several replicas of a service. To be called within a runtime.
fn way(addresses: &str) -> Result<Way, Failure> {
    if addresses.contains(',') {
        return Ok(Way::Several(Balancer::try_new(addresses, None)?));
    }
    let endpoint = Endpoint::from_shared(addresses.to_owned())?;
    Ok(Way::One(endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true).connect_lazy()))
}

impl TowerService<Request<Body>> for SuiteChannel {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let way = self.of(request.uri().path()).clone();
        Box::pin(async move {
            match way {
                Way::One(mut channel) => {
                    poll_fn(|context| channel.poll_ready(context)).await?;
                    Ok(channel.call(request).await?)
                }
                Way::Several(mut replicas) => Ok(replicas.call(request).await?),
            }
        })
    }
}
