//! Applies the limits to calls: which are refused with which error, and how many were.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use frontdesk_api::ApiError;
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_proto::error::v1::Reason;
use http::{HeaderMap, Response};
use opentelemetry::KeyValue;
use rand::Rng;
use tonic::{Code, Status, body::Body};

use super::{
    LimitSettings,
    concurrency::{CallPermit, ConcurrencyLimits},
    open_methods::OpenMethod,
    pool::{Holder, Permit, Pool, PoolExceeded, Resource},
    rates::{MIN_RETRY_DELAY, RateExceeded, RateLimits, RateScope},
};
use crate::PeerInfo;

/// Number of pre-built RESOURCE_EXHAUSTED responses, each with its own retry delay: building one costs more than all else that
/// an overloaded process does for a refused call.
const PREBUILT_RESPONSES: usize = 64;
/// Bounds of the retry delay of an overloaded process, in milliseconds: random, so that refused callers do not return together.
const OVERLOAD_RETRY_MS: std::ops::Range<u64> = 250..1_000;
/// How long the opening of a stream may wait for others.
const MAX_OPENING_WAIT: Duration = Duration::from_secs(5);
/// Interval between reports of refused calls in the log, and between removals of inactive callers from memory.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Size of a message in bytes that always has room: what the rates of callers bound is not refused here.
pub(super) const SMALL_MESSAGE: usize = 64 * 1024;
/// Maximum number of bytes of large requests that may be arriving, in all.
const MAX_INCOMING: usize = 64 * 1024 * 1024;
/// The same of one connection.
const MAX_INCOMING_PER_CONNECTION: usize = 4 * 1024 * 1024;
/// The same of one visitor: half of a connection, which a gateway shares among its clients.
const MAX_INCOMING_PER_VISITOR: usize = MAX_INCOMING_PER_CONNECTION / 2;
/// Maximum number of bytes of answers that one connection may leave unread.
const MAX_UNREAD_PER_CONNECTION: usize = 16 * 1024 * 1024;
/// The same of one visitor: a quarter of a connection.
const MAX_UNREAD_PER_VISITOR: usize = MAX_UNREAD_PER_CONNECTION / 4;
/// Delay after which a caller whose maximum is reached is asked to try again: others of its calls end at any time.
const POOL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The limits of this process.
pub(super) struct Limiter {
    concurrency: ConcurrencyLimits,
    rates: RateLimits,
    streams: Pool,
    health_watches: Pool,
    reflection_streams: Pool,
    requests: Pool,
    answers: Pool,
    settings: LimitSettings,
    hasher: RandomState,
    overloaded: Vec<HeaderMap>,
    /// Calls refused since the last report because the process was overloaded.
    overloaded_count: AtomicUsize,
    /// Calls and preflights refused since the last report because the caller or the address exceeded a limit of its own.
    rate_limited_count: AtomicUsize,
}

impl Limiter {
    pub(super) fn new(settings: &LimitSettings) -> Self {
        let prebuilt = |_| Status::from(overloaded()).into_http::<Body>().headers().clone();
        Self {
            concurrency: ConcurrencyLimits::new(settings.in_flight, settings.max_visitor_calls()),
            rates: RateLimits::new(settings),
            streams: Pool::new(Resource::Streams, settings.streams),
            health_watches: Pool::new(Resource::HealthWatches, settings.health_watches),
            reflection_streams: Pool::new(Resource::ReflectionStreams, settings.reflection_streams),
            requests: Pool::new(Resource::Requests, MAX_INCOMING),
            answers: Pool::new(Resource::Answers, settings.unread_bytes),
            settings: settings.clone(),
            hasher: RandomState::new(),
            overloaded: (0..PREBUILT_RESPONSES).map(prebuilt).collect(),
            overloaded_count: AtomicUsize::new(0),
            rate_limited_count: AtomicUsize::new(0),
        }
    }

    /// Shows in the metrics how many permits are held of each resource, and their maxima.
    pub(super) fn observe_permits(&self) {
        let [calls, visitor_calls] = self.concurrency.in_progress();
        let pools = [
            ("streams", self.streams.clone()),
            ("health_watches", self.health_watches.clone()),
            ("reflection_streams", self.reflection_streams.clone()),
            ("request_bytes", self.requests.clone()),
            ("answer_bytes", self.answers.clone()),
        ];
        let calls = [
            ("calls", calls, self.settings.in_flight),
            ("visitor_calls", visitor_calls, self.settings.max_visitor_calls()),
        ];
        let of = |resource: &'static str| [KeyValue::new("resource", resource)];
        let maxima: Vec<(&'static str, usize)> = calls
            .iter()
            .map(|(resource, _, max)| (*resource, *max))
            .chain(pools.iter().map(|(resource, pool)| (*resource, pool.max())))
            .collect();
        let meter = frontdesk_telemetry::meter();
        let _held = meter
            .u64_observable_gauge("frontdesk.permits.held")
            .with_description("Permits that calls and streams hold, by resource; bytes where its name says")
            .with_callback(move |observer| {
                for &(resource, ref held, _) in &calls {
                    observer.observe(held.load(Ordering::Relaxed) as u64, &of(resource));
                }
                for &(resource, ref pool) in &pools {
                    observer.observe(pool.held() as u64, &of(resource));
                }
            })
            .build();
        let _max = meter
            .u64_observable_gauge("frontdesk.permits.max")
            .with_description("Maximum number of permits, by resource, from the limits of the settings")
            .with_callback(move |observer| {
                for &(resource, max) in &maxima {
                    observer.observe(max as u64, &of(resource));
                }
            })
            .build();
    }

    /// Whether the next call would be refused.
    pub(super) fn is_overloaded(&self) -> bool {
        self.concurrency.is_exhausted()
    }

    /// Counts a call that has arrived until its task runs.
    pub(super) fn count_arriving_call(&self) -> CallPermit {
        self.concurrency.count_arriving_call()
    }

    /// A pre-built response for calls refused before authentication.
    pub(super) fn overloaded_response(&self) -> Response<Body> {
        self.overloaded_count.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.overloaded[rand::rng().random_range(0..self.overloaded.len())].clone();
        response
    }

    /// A permit for a call of this caller. Calls of services are never refused: a call that was admitted waits for them.
    pub(super) fn acquire_call(&self, caller: &Caller) -> Result<CallPermit, ApiError> {
        if caller.kind == CallerKind::Service {
            return Ok(self.concurrency.acquire_nested_call());
        }
        let permit = match caller.kind {
            CallerKind::Visitor | CallerKind::Widget => self.concurrency.try_acquire_visitor_call(),
            _ => self.concurrency.try_acquire_call(),
        };
        permit.ok_or_else(|| self.overloaded())
    }

    /// A permit for the opening of a stream: openings wait for one another, and not in the place of calls, because the clients of a
    /// replica that stopped open all their streams together. Fails when the wait is too long.
    pub(super) async fn acquire_opening(&self, caller: &Caller) -> Result<CallPermit, ApiError> {
        if caller.kind == CallerKind::Service {
            return Ok(self.concurrency.acquire_nested_call());
        }
        let opening = tokio::time::timeout(MAX_OPENING_WAIT, self.concurrency.acquire_opening()).await;
        opening.map_err(|_| self.overloaded())
    }

    /// A permit for an open stream of this caller.
    pub(super) fn acquire_stream(&self, caller: &Caller) -> Result<Permit, ApiError> {
        let visitor = match self.settings.visitor_streams {
            0 => usize::MAX,
            max => max,
        };
        let mut permit = self.streams.permit(self.holders(caller, visitor, self.settings.streams));
        self.hold(&mut permit, 1)?;
        Ok(permit)
    }

    /// Whether there is a permit for a call of this method.
    pub(super) fn has_permit(&self, method: OpenMethod) -> bool {
        match method {
            OpenMethod::CheckHealth => true,
            OpenMethod::WatchHealth => !self.health_watches.is_full(),
            OpenMethod::Reflect => !self.reflection_streams.is_full(),
        }
    }

    /// A permit for a `Watch` of the health service.
    pub(super) fn acquire_health_watch(&self, peer: Option<&PeerInfo>) -> Result<Permit, ApiError> {
        self.acquire_open(&self.health_watches, peer, self.settings.health_watches_per_address)
    }

    /// A permit for a reflection stream.
    pub(super) fn acquire_reflection_stream(&self, peer: Option<&PeerInfo>) -> Result<Permit, ApiError> {
        self.acquire_open(&self.reflection_streams, peer, self.settings.reflection_streams_per_address)
    }

    /// A permit for a stream that needs no caller, of an address with this maximum. Our own services have no such maximum.
    fn acquire_open(&self, pool: &Pool, peer: Option<&PeerInfo>, max: usize) -> Result<Permit, ApiError> {
        let address = peer.filter(|peer| peer.service.is_none()).and_then(|peer| peer.address);
        let mut permit = pool.permit(address.map(|address| (Holder::Address(address), max)).into_iter().collect());
        self.hold(&mut permit, 1)?;
        Ok(permit)
    }

    /// A permit for the bytes of a large request, which are counted as they arrive. Those of our own services are not refused.
    pub(super) fn request_permit(&self, caller: &Caller, peer: Option<&PeerInfo>) -> Permit {
        if caller.kind == CallerKind::Service {
            return self.requests.permit(Vec::new()).without_maximum();
        }
        let mut holders = self.holders(caller, MAX_INCOMING_PER_VISITOR, MAX_INCOMING);
        holders.extend(peer.map(|peer| (Holder::Connection(peer.id), MAX_INCOMING_PER_CONNECTION)));
        self.requests.permit(holders)
    }

    /// A permit for the bytes of an answer that its client has still to read. None: a service of ours reads it. Fails when the visitor or
    /// the account leaves too much unread already: a call that was served is not refused for a small answer.
    pub(super) fn answer_permit(&self, caller: &Caller, peer: &PeerInfo) -> Result<Option<Permit>, ApiError> {
        if peer.service.is_some() {
            return Ok(None);
        }
        let mut holders = self.holders(caller, MAX_UNREAD_PER_VISITOR, self.settings.unread_bytes);
        holders.push((Holder::Connection(peer.id), MAX_UNREAD_PER_CONNECTION));
        let permit = self.answers.permit(holders);
        permit.check_room().map_err(|exceeded| self.pool_exceeded(&exceeded))?;
        Ok(Some(permit))
    }

    /// The permit with the bytes of an answer; a small one always has room.
    pub(super) fn hold_answer(&self, permit: Permit, bytes: usize) -> Result<Permit, ApiError> {
        let mut permit = if bytes <= SMALL_MESSAGE { permit.without_maximum() } else { permit };
        self.hold(&mut permit, bytes)?;
        Ok(permit)
    }

    /// Adds units to a permit.
    pub(super) fn hold(&self, permit: &mut Permit, units: usize) -> Result<(), ApiError> {
        permit.try_add(units).map_err(|exceeded| self.pool_exceeded(&exceeded))
    }

    fn pool_exceeded(&self, exceeded: &PoolExceeded) -> ApiError {
        let count = match exceeded.holder {
            Holder::All => &self.overloaded_count,
            _ => &self.rate_limited_count,
        };
        count.fetch_add(1, Ordering::Relaxed);
        pool_exceeded(exceeded)
    }

    /// Who holds what a call of this caller takes: a visitor with this maximum, and the account and its visitors with their shares of
    /// the pool's.
    fn holders(&self, caller: &Caller, visitor_max: usize, pool_max: usize) -> Vec<(Holder, usize)> {
        let account = (Holder::Account(caller.account.0), self.settings.account_part(pool_max));
        match caller.kind {
            CallerKind::Service => Vec::new(),
            CallerKind::Visitor => {
                let visitors = (Holder::AccountVisitors(caller.account.0), self.settings.visitor_part(pool_max));
                vec![(Holder::Visitor(self.key(caller)), visitor_max), visitors, account]
            }
            _ => vec![account],
        }
    }

    /// Counts a call of this caller; fails when the caller or the account calls too often.
    pub(super) fn check_rate(&self, caller: &Caller) -> Result<(), ApiError> {
        self.rates.check(caller, || self.key(caller)).map_err(|exceeded| self.rate_exceeded(exceeded))
    }

    /// Counts a call that creates an anonymous visitor or starts a chat of one; fails when its address makes too many.
    pub(super) fn check_anonymous_visitor(&self, peer: Option<&PeerInfo>) -> Result<(), ApiError> {
        let address = peer.and_then(|peer| peer.address.as_ref());
        let checked = address.map_or(Ok(()), |address| self.rates.check_anonymous_visitor(address));
        checked.map_err(|exceeded| self.rate_exceeded(exceeded))
    }

    fn rate_exceeded(&self, RateExceeded { scope, retry_after }: RateExceeded) -> ApiError {
        self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
        let (whose, subject) = match scope {
            RateScope::Caller => ("caller", "you call"),
            RateScope::Account => ("account", "your account calls"),
            RateScope::AccountVisitors => ("account", "the visitors of your account call"),
            RateScope::Address => ("address", "your address creates anonymous visitors and starts their chats"),
        };
        let wait = retry_after.as_millis();
        let message =
            format!("{subject} more often than this installation allows; nothing was done, try again in {wait} ms");
        rate_limited(whose, message, retry_after)
    }

    /// Counts a preflight from this address; fails with how long until the next one is allowed.
    pub(super) fn check_preflight(&self, address: &IpAddr) -> Result<(), Duration> {
        self.rates.check_preflight(address).inspect_err(|_| {
            self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Counts a request of plain HTTP from this address; fails with how long until the next one is allowed.
    pub(super) fn check_http_request(&self, address: &IpAddr) -> Result<(), Duration> {
        self.rates.check_http_request(address).inspect_err(|_| {
            self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Counts a token that is not valid by its address: verifying one is the most that a caller without a token can make this process
    /// do. When there are too many, a connection that has carried no valid token is closed.
    pub(super) fn count_invalid_token(&self, peer: &PeerInfo) {
        if let Some(address) = &peer.address
            && self.rates.check_invalid_token(address).is_err()
            && !peer.is_authenticated.load(Ordering::Relaxed)
            && !peer.close.is_cancelled()
        {
            tracing::warn!(%address, "closed a connection: its address sends too many tokens that are not valid");
            peer.close.cancel();
        }
    }

    /// Whether a token that was not verified a short time ago is verified now. Fails on a connection that has carried a valid token
    /// while its address sends too many that are not valid.
    pub(super) fn check_new_token(&self, peer: &PeerInfo) -> Result<(), ApiError> {
        let Some(address) = peer.address.filter(|_| peer.is_authenticated.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        self.rates.check_new_token(&address).map_err(|wait| {
            self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
            let wait = wait.max(MIN_RETRY_DELAY);
            let message = format!(
                "your address sends too many tokens that are not valid; yours was not verified, try again in {} ms",
                wait.as_millis()
            );
            rate_limited("address", message, wait)
        })
    }

    /// A 64-bit hash of the caller's account and actor. Callers with the same hash, which are improbable, share their limits.
    fn key(&self, caller: &Caller) -> u64 {
        self.hasher.hash_one((caller.account, &caller.actor))
    }

    fn overloaded(&self) -> ApiError {
        self.overloaded_count.fetch_add(1, Ordering::Relaxed);
        overloaded()
    }

    /// Reports refused calls and forgets inactive callers, once a minute; never returns.
    pub(super) async fn maintain(&self) {
        loop {
            tokio::time::sleep(MAINTENANCE_INTERVAL).await;
            let [overloaded, rate_limited] =
                [&self.overloaded_count, &self.rate_limited_count].map(|count| count.swap(0, Ordering::Relaxed));
            if overloaded + rate_limited > 0 {
                tracing::warn!(overloaded, rate_limited, "calls were refused in the last minute");
            }
            self.rates.forget_inactive();
        }
    }
}

fn overloaded() -> ApiError {
    overloaded_with("this replica is overloaded; nothing was done, try again")
}

fn overloaded_with(message: &str) -> ApiError {
    let retry_after = Duration::from_millis(rand::rng().random_range(OVERLOAD_RETRY_MS));
    ApiError::shared(Code::ResourceExhausted, Reason::Overloaded, message).retry_after(retry_after)
}

/// Says whose maximum is reached, and what to do.
fn pool_exceeded(exceeded: &PoolExceeded) -> ApiError {
    let (what, remedy) = match exceeded.resource {
        Resource::Streams => ("open streams", "end one first"),
        Resource::HealthWatches => ("open watches of the health service", "end one first"),
        Resource::ReflectionStreams => ("open reflection streams", "end one first"),
        Resource::Requests => ("bytes of large requests that are arriving", "wait until some are answered"),
        Resource::Answers => ("bytes of answers that are not read yet", "read some first"),
    };
    let (whose, possessive) = match exceeded.holder {
        Holder::Visitor(_) => ("caller", "your"),
        Holder::Connection(_) => ("connection", "your connection's"),
        Holder::Address(_) => ("address", "your address's"),
        Holder::Account(_) => ("account", "your account's"),
        Holder::AccountVisitors(_) => ("account", "your account's visitors'"),
        Holder::All => return overloaded_with(&format!("this replica has its maximum of {what}; try again")),
    };
    let max = exceeded.max;
    rate_limited(
        whose,
        format!("{possessive} maximum of {max} {what} at this replica is reached; {remedy}"),
        POOL_RETRY_DELAY,
    )
}

fn rate_limited(whose: &'static str, message: String, retry_after: Duration) -> ApiError {
    ApiError::shared(Code::ResourceExhausted, Reason::RateLimited, message)
        .with("whose", whose)
        .retry_after(retry_after)
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
