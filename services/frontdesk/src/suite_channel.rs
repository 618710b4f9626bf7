//! A caller's way to a whole suite, wherever its services are: each call goes to the service that serves its method.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower::Service as TowerService;

use crate::{Service, Settings};

/// Channels to the four services. Clones share them.
#[derive(Clone)]
pub struct SuiteChannel([Channel; 4]);

impl SuiteChannel {
    /// To a suite that serves everything at one address; connects at the first call, and again after a restart.
    pub fn at(address: &str) -> Result<Self, Error> {
        let channel = channel(address)?;
        Ok(Self([channel.clone(), channel.clone(), channel.clone(), channel]))
    }

    /// To the services at the addresses of the settings' peers.
    pub fn to_peers(settings: &Settings) -> Result<Self, Error> {
        let [conversation, assignment, bot_session, notification] =
            Service::ALL.map(|service| channel(settings.peer(service)));
        Ok(Self([conversation?, assignment?, bot_session?, notification?]))
    }

    /// The service that serves the method at this path. What all serve, as the development clock, and the mailbox, are asked
    /// of the notification service.
    fn of(&self, path: &str) -> &Channel {
        let serves = |service: &Service| path.trim_start_matches('/').starts_with(service.package());
        &self.0[Service::ALL.iter().position(serves).unwrap_or(3)]
    }
}

/// To one or, with commas, several replicas of a service.
fn channel(addresses: &str) -> Result<Channel, Error> {
    let endpoints = addresses.split(',').map(|address| {
        let endpoint = Endpoint::from_shared(address.trim().to_owned())?;
        Ok(endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true))
    });
    let endpoints = endpoints.collect::<Result<Vec<_>, Error>>()?;
    Ok(match endpoints.as_slice() {
        [one] => one.connect_lazy(),
        _ => Channel::balance_list(endpoints.into_iter()),
    })
}

impl TowerService<Request<Body>> for SuiteChannel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut channel = self.of(request.uri().path()).clone();
        Box::pin(async move {
            poll_fn(|context| channel.poll_ready(context)).await?;
            channel.call(request).await
        })
    }
}
