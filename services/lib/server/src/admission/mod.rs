//! What happens to every call before a handler sees it.

mod admit;
mod audit;
mod authentication;
mod concurrency;
mod deadlines;
mod layer;
mod limiter;
mod limits;
mod rates;
mod request_body;
mod stream_permit;

use std::{net::IpAddr, time::Duration};

use frontdesk_auth::{Access, AccessMap, Identity};
use frontdesk_clock::Clock;

use self::limiter::Limiter;
pub use self::{
    audit::AuditLayer,
    layer::{CallLayer, CallService},
    limits::{LimitError, LimitSettings},
};

/// Decides which calls reach their handlers.
pub struct Admission {
    identity: Identity,
    access: AccessMap,
    audit: AuditLayer,
    clock: Clock,
    limiter: Limiter,
}

impl Admission {
    /// Admits the callers that `identity` authenticates, to the methods for which `access` declares their permission, within
    /// `limits`; records the calls of audited methods in `audit`.
    pub fn new(
        identity: Identity,
        access: AccessMap,
        audit: AuditLayer,
        limits: &LimitSettings,
        clock: &Clock,
    ) -> Self {
        Self { identity, access, audit, clock: clock.clone(), limiter: Limiter::new(limits) }
    }

    /// The method's declaration. None: the method needs no caller, or does not exist, which the router answers.
    fn access(&self, path: &str) -> Option<&Access> {
        if path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.") {
            return None;
        }
        self.access.find(path)
    }

    /// Counts a preflight, which names no caller, by its address; fails with how long until the next one is allowed.
    pub(crate) fn check_preflight(&self, address: &IpAddr) -> Result<(), Duration> {
        self.limiter.check_preflight(address)
    }

    /// Reports refused calls and frees memory, once a minute; never returns.
    pub(crate) async fn maintain(&self) {
        self.limiter.maintain().await;
    }
}
