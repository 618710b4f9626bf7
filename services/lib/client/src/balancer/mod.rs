//! A client-side load balancer: it finds the replicas of a service (`resolve`), picks one for each call (`pick`), and retries with
//! another (`retry`).
//!
//! Every call between our services may be repeated: it reads, or carries a request id, or changes nothing the second time.

mod pick;
mod replica;
mod resolve;
mod retry;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use frontdesk_api::ApiError;
use frontdesk_transport::{InProcessConnector, Tls};
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::{Status, body::Body, transport::Channel};
use tower::Service;

pub use self::resolve::PeerError;
use self::{pick::Picker, replica::Replica, resolve::Resolver, retry::call_with_retries};

/// Interval between resolutions of a service's names: replicas come and go.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of calls in progress to one service: more are refused instead of queued.
const MAX_CALLS: usize = 1_024;
/// When a caller may retry a call that reached no replica.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// All replicas of a service. Clones share them.
#[derive(Clone)]
pub struct Balancer(Arc<Shared>);

struct Shared {
    /// None: the service is in this process.
    resolver: Option<Resolver>,
    picker: Picker<Channel>,
    calls: Semaphore,
}

impl Balancer {
    /// Balances over the replicas at these addresses: `http://host:port` or `https://host:port`, separated by commas; a host name may
    /// have several addresses. Must be called within a runtime, which resolves the names every few seconds.
    pub fn try_new(addresses: &str, tls: Option<&Tls>) -> Result<Self, PeerError> {
        let balancer = Self::new(Some(Resolver::try_new(addresses, tls)?), Picker::default());
        let shared = Arc::downgrade(&balancer.0);
        tokio::spawn(async move {
            while let Some(shared) = shared.upgrade() {
                // In a task of its own: a panic ends one round, not the next ones.
                if let Err(error) = tokio::spawn(async move { shared.resolve().await }).await {
                    tracing::error!(%error, "resolving the names of a service panicked");
                }
                tokio::time::sleep(RESOLVE_INTERVAL).await;
            }
        });
        Ok(balancer)
    }

    /// Calls this process as the service named `caller`.
    pub(crate) fn in_process(connector: &InProcessConnector, caller: &'static str) -> Self {
        let picker = Picker::default();
        picker.replace(vec![Arc::new(Replica::in_process(connector, caller))]);
        Self::new(None, picker)
    }

    fn new(resolver: Option<Resolver>, picker: Picker<Channel>) -> Self {
        Self(Arc::new(Shared { resolver, picker, calls: Semaphore::new(MAX_CALLS) }))
    }
}

impl Shared {
    async fn resolve(&self) {
        if let Some(resolver) = &self.resolver {
            resolver.resolve(&self.picker).await;
        }
    }

    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let _permit = self.calls.try_acquire().map_err(|_| unreachable("too many calls wait for it"))?;
        if self.picker.is_empty() {
            self.resolve().await;
        }
        call_with_retries(&self.picker, request).await
    }
}

impl Service<Request<Body>> for Balancer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move { shared.call(request).await })
    }
}

fn unreachable(why: &str) -> Status {
    let message = format!("another service cannot be reached now ({why}); try again");
    ApiError::unavailable(message).retry_after(RETRY_AFTER).into()
}
