//! Applies the limits to calls: which are refused with which error, and how many were.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_api::ApiError;
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_proto::error::v1::Reason;
use http::{HeaderMap, Response};
use rand::Rng;
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body};

use super::{
    LimitSettings,
    concurrency::{CallPermit, ConcurrencyLimits, StreamLimit, StreamPermit},
    memory::{MemoryLimits, MessageMemory},
    open_methods::OpenMethod,
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

/// The limits of this process.
pub(super) struct Limiter {
    concurrency: ConcurrencyLimits,
    rates: RateLimits,
    memory: MemoryLimits,
    health_watches: Arc<Semaphore>,
    reflection_streams: Arc<Semaphore>,
    /// Maximum number of open streams of one visitor; 0: no limit.
    visitor_streams: usize,
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
            concurrency: ConcurrencyLimits::new(settings.in_flight, settings.streams),
            rates: RateLimits::new(settings),
            memory: MemoryLimits::new(settings.unread_bytes),
            health_watches: semaphore(settings.health_watches),
            reflection_streams: semaphore(settings.reflection_streams),
            visitor_streams: settings.visitor_streams,
            hasher: RandomState::new(),
            overloaded: (0..PREBUILT_RESPONSES).map(prebuilt).collect(),
            overloaded_count: AtomicUsize::new(0),
            rate_limited_count: AtomicUsize::new(0),
        }
    }

    /// Whether the next call would be refused.
    pub(super) fn is_overloaded(&self) -> bool {
        self.concurrency.is_exhausted()
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
        self.concurrency.try_acquire_call().ok_or_else(|| self.overloaded())
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
    pub(super) fn acquire_stream(&self, caller: &Caller) -> Result<StreamPermit, ApiError> {
        let is_limited = caller.kind == CallerKind::Visitor && self.visitor_streams > 0;
        let own = is_limited.then(|| (self.key(caller), self.visitor_streams));
        self.concurrency.try_acquire_stream(own).map_err(|limit| match limit {
            StreamLimit::Process => self.overloaded(),
            StreamLimit::Caller => {
                self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
                let max = self.visitor_streams;
                let message = format!("you have {max} streams open, the maximum of this installation; end one first");
                rate_limited("caller", message, Duration::from_secs(1))
            }
        })
    }

    /// Whether there is a permit for a call of this method.
    pub(super) fn has_permit(&self, method: OpenMethod) -> bool {
        match method {
            OpenMethod::CheckHealth => true,
            OpenMethod::WatchHealth => self.health_watches.available_permits() > 0,
            OpenMethod::Reflect => self.reflection_streams.available_permits() > 0,
        }
    }

    /// A permit for a `Watch` of the health service.
    pub(super) fn acquire_health_watch(&self) -> Result<StreamPermit, ApiError> {
        StreamPermit::try_of(&self.health_watches).ok_or_else(|| self.overloaded())
    }

    /// A permit for a reflection stream.
    pub(super) fn acquire_reflection_stream(&self) -> Result<StreamPermit, ApiError> {
        StreamPermit::try_of(&self.reflection_streams).ok_or_else(|| self.overloaded())
    }

    /// Room for a large request of this size, which its client sends.
    pub(super) fn acquire_request(&self, peer: &PeerInfo, bytes: usize) -> Result<MessageMemory, ApiError> {
        self.memory.try_receive(&peer.memory, bytes).ok_or_else(|| self.overloaded())
    }

    /// Room for an answer of this size, which its client has still to read.
    pub(super) fn acquire_answer(&self, peer: &PeerInfo, bytes: usize) -> Result<MessageMemory, ApiError> {
        self.memory.try_answer(&peer.memory, bytes).ok_or_else(|| {
            self.overloaded_count.fetch_add(1, Ordering::Relaxed);
            let message = "too many large answers wait for their clients to read them; read yours, and call again";
            overloaded_with(message)
        })
    }

    /// Counts a call of this caller; fails when the caller or the account calls too often.
    pub(super) fn check_rate(&self, caller: &Caller) -> Result<(), ApiError> {
        self.rates.check(caller, || self.key(caller)).map_err(|RateExceeded { scope, retry_after }| {
            self.rate_limited_count.fetch_add(1, Ordering::Relaxed);
            let (whose, subject) = match scope {
                RateScope::Caller => ("caller", "you call"),
                RateScope::Account => ("account", "your account calls"),
                RateScope::AccountVisitors => ("account", "the visitors of your account call"),
            };
            let wait = retry_after.as_millis();
            let message =
                format!("{subject} more often than this installation allows; nothing was done, try again in {wait} ms");
            rate_limited(whose, message, retry_after)
        })
    }

    /// Counts a preflight from this address; fails with how long until the next one is allowed.
    pub(super) fn check_preflight(&self, address: &IpAddr) -> Result<(), Duration> {
        self.rates.check_preflight(address).inspect_err(|_| {
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

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

fn overloaded() -> ApiError {
    overloaded_with("this replica is overloaded; nothing was done, try again")
}

fn overloaded_with(message: &str) -> ApiError {
    let retry_after = Duration::from_millis(rand::rng().random_range(OVERLOAD_RETRY_MS));
    ApiError::shared(Code::ResourceExhausted, Reason::Overloaded, message).retry_after(retry_after)
}

fn rate_limited(whose: &'static str, message: String, retry_after: Duration) -> ApiError {
    ApiError::shared(Code::ResourceExhausted, Reason::RateLimited, message)
        .with("whose", whose)
        .retry_after(retry_after)
}

#[cfg(test)]
mod tests {
    use frontdesk_api::has_reason;
    use tonic_types::StatusExt;

    use super::*;

    fn visitor() -> Caller {
        Caller { kind: CallerKind::Visitor, ..Caller::service("") }
    }

    #[test]
    fn s4_an_overloaded_process_refuses_with_a_retry_delay_but_not_its_own_services() {
        let limiter = Limiter::new(&LimitSettings { in_flight: 1, ..LimitSettings::default() });
        assert!(!limiter.is_overloaded());
        let permit = limiter.acquire_call(&visitor()).unwrap();
        assert!(limiter.is_overloaded());
        let response = limiter.overloaded_response();
        for status in
            [Status::from_header_map(response.headers()).unwrap(), limiter.acquire_call(&visitor()).unwrap_err().into()]
        {
            assert!(status.code() == Code::ResourceExhausted && has_reason(&status, "OVERLOADED"), "{status:?}");
            let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
            assert!(OVERLOAD_RETRY_MS.contains(&(delay.as_millis() as u64)), "{delay:?}");
        }
        drop((limiter.acquire_call(&Caller::service("any")).unwrap(), permit));
        assert!(!limiter.is_overloaded());
        assert_eq!(limiter.overloaded_count.load(Ordering::Relaxed), 2, "both are counted for the report");
    }

    #[tokio::test(start_paused = true)]
    async fn s4_only_a_connection_without_a_valid_token_is_closed_for_tokens_that_are_not_valid() {
        let limiter = Limiter::new(&LimitSettings { invalid_token_rate: 2, ..LimitSettings::default() });
        let peer = |address: [u8; 4]| PeerInfo { address: Some(address.into()), ..PeerInfo::default() };
        let (attacker, shared, other) = (peer([192, 0, 2, 1]), peer([192, 0, 2, 1]), peer([192, 0, 2, 2]));
        shared.is_authenticated.store(true, Ordering::Relaxed);
        (0..6).for_each(|_| limiter.count_invalid_token(&attacker));
        assert!(!attacker.close.is_cancelled() && limiter.check_new_token(&shared).is_ok(), "a burst of three seconds");
        for peer in [&attacker, &shared, &other] {
            limiter.count_invalid_token(peer);
        }
        assert!(attacker.close.is_cancelled() && !shared.close.is_cancelled() && !other.close.is_cancelled());
        let refused = Status::from(limiter.check_new_token(&shared).unwrap_err());
        assert!(has_reason(&refused, "RATE_LIMITED"), "{refused:?}");
        assert_eq!(refused.get_details_error_info().unwrap().metadata["whose"], "address");
        let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        tokio::time::sleep(wait).await;
        assert!(limiter.check_new_token(&shared).is_ok(), "after the retry delay its tokens are verified again");
    }

    #[tokio::test(start_paused = true)]
    async fn s4_openings_of_streams_wait_and_take_no_permits_of_calls() {
        let limiter = Limiter::new(&LimitSettings { in_flight: 16, ..LimitSettings::default() });
        let openings = (0..500).map(|_| async {
            let opening = limiter.acquire_opening(&visitor()).await?;
            assert!(!limiter.is_overloaded(), "an opening takes no permit of calls");
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(opening);
            Ok::<_, ApiError>(())
        });
        assert!(futures::future::join_all(openings).await.iter().all(Result::is_ok));
        let _held =
            [limiter.acquire_opening(&visitor()).await.unwrap(), limiter.acquire_opening(&visitor()).await.unwrap()];
        let refused = Status::from(limiter.acquire_opening(&visitor()).await.unwrap_err());
        assert!(has_reason(&refused, "OVERLOADED"), "{refused:?}");
    }

    #[test]
    fn s4_a_visitor_over_the_stream_limit_learns_whose_limit_it_is() {
        let limiter = Limiter::new(&LimitSettings { visitor_streams: 1, ..LimitSettings::default() });
        let _stream = limiter.acquire_stream(&visitor()).unwrap();
        let status = Status::from(limiter.acquire_stream(&visitor()).unwrap_err());
        assert!(has_reason(&status, "RATE_LIMITED"), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().metadata["whose"], "caller");
        assert!(
            limiter.acquire_stream(&Caller { kind: CallerKind::Agent, ..visitor() }).is_ok(),
            "agents have no such limit"
        );
    }
}
