//! What happens to every call before a handler sees it.

mod admit;
mod answer_body;
mod audit;
mod authentication;
mod call_metrics;
mod code_name;
mod complete_on_drop;
mod concurrency;
mod deadlines;
mod layer;
mod limiter;
mod limits;
mod open_methods;
mod pool;
mod rates;
mod request_body;
mod stream_permit;
mod transport_errors;

use std::{net::IpAddr, time::Duration};

use frontdesk_auth::{Access, AccessMap, Identity};
use frontdesk_clock::Clock;
use frontdesk_db::Db;

pub(crate) use self::pool::ConnectionId;
pub use self::{
    audit::AuditLayer,
    layer::{CallLayer, CallService},
    limits::{LimitError, LimitSettings},
};
use self::{call_metrics::CallMetrics, limiter::Limiter, open_methods::OpenMethod};

/// Interval between writes of the numbers of refusals.
const AUDIT_INTERVAL: Duration = Duration::from_secs(10);

/// Decides which calls reach their handlers.
pub struct Admission {
    identity: Identity,
    access: AccessMap,
    audit: AuditLayer,
    clock: Clock,
    limiter: Limiter,
    metrics: CallMetrics,
    /// The full name of each gRPC service, with the database that knows which accounts are in use.
    accounts: Vec<(&'static str, Db)>,
}

/// What a method requires.
enum Method<'a> {
    /// A caller with this access.
    Declared(&'a Access),
    /// No caller.
    Open(OpenMethod),
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
        let (limiter, metrics) = (Limiter::new(limits), CallMetrics::new());
        Self { identity, access, audit, clock: clock.clone(), limiter, metrics, accounts: Vec::new() }
    }

    /// Refuses calls of accounts that are not in use. `accounts`: the full name of each gRPC service, with the database that is asked.
    pub fn with_accounts(self, accounts: Vec<(&'static str, Db)>) -> Self {
        Self { accounts, ..self }
    }

    /// The method at this path. None: there is no such method.
    fn method(&self, path: &str) -> Option<Method<'_>> {
        match self.access.find(path) {
            Some(access) => Some(Method::Declared(access)),
            None => OpenMethod::find(path).map(Method::Open),
        }
    }

    /// Counts a preflight, which names no caller, by its address; fails with how long until the next one is allowed.
    pub(crate) fn check_preflight(&self, address: &IpAddr) -> Result<(), Duration> {
        self.limiter.check_preflight(address)
    }

    /// Counts a request of plain HTTP, whose token is verified later, by its address; fails with how long until the next one is allowed.
    pub(crate) fn check_http_request(&self, address: &IpAddr) -> Result<(), Duration> {
        self.limiter.check_http_request(address)
    }

    /// Shows the permits that are held in the metrics, reports refused calls and frees memory, once a minute, and writes the numbers of
    /// refusals to the audit log; never returns.
    pub(crate) async fn maintain(&self) {
        self.limiter.observe_permits();
        let write_counts = async {
            loop {
                tokio::time::sleep(AUDIT_INTERVAL).await;
                self.audit.write_counts().await;
            }
        };
        tokio::join!(self.limiter.maintain(), write_counts);
    }

    /// Writes what is still to be written, at the shutdown.
    pub(crate) async fn finish(&self) {
        self.audit.write_counts().await;
    }
}
