//! What one process carries, and what one caller may ask of it: beyond that it refuses at once and says when to try again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::{Caller, Kind};
use frontdesk_proto::auth::v1::Reason;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use http::{HeaderMap, Response};
use rand::Rng;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status, body::Body};
use uuid::Uuid;

use crate::Refusal;

/// A burst of so many seconds' calls is let through.
const BURST_SECONDS: u32 = 3;
/// So many different pauses are asked for.
const REFUSALS: usize = 64;
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Limits of one process. A rate of 0: no limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Connections.
    pub connections: usize,
    /// Connections from one address (of IPv6: from one /64).
    pub connections_per_address: usize,
    /// Calls and streams at once on one connection: a client that wants more opens another one.
    pub streams_per_connection: u32,
    /// Calls that are worked on at once; streams that are open do not count.
    pub in_flight: usize,
    /// Streams that are open.
    pub streams: usize,
    /// Streams that one visitor has open; 0: no limit.
    pub visitor_streams: usize,
    /// Calls a second of one visitor.
    pub visitor_rate: u32,
    /// Calls a second of one agent.
    pub agent_rate: u32,
    /// Calls a second of one bot.
    pub bot_rate: u32,
    /// Calls a second of one administrator, which is often the platform's back end.
    pub admin_rate: u32,
    /// Calls a second of everybody in one account together.
    pub account_rate: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1_000,
            streams_per_connection: 100,
            in_flight: 256,
            streams: 20_000,
            visitor_streams: 20,
            visitor_rate: 20,
            agent_rate: 100,
            bot_rate: 200,
            admin_rate: 200,
            account_rate: 2_000,
        }
    }
}

impl LimitSettings {
    /// The setting with which nobody would be served, if there is one.
    pub fn check(&self) -> Result<(), NoRoom> {
        let rooms = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("streams_per_connection", self.streams_per_connection as usize),
            ("in_flight", self.in_flight),
            ("streams", self.streams),
        ];
        rooms.into_iter().find(|(_, room)| *room == 0).map_or(Ok(()), |(setting, _)| Err(NoRoom(setting)))
    }

    /// Only what the process itself can carry counts: for who measures that.
    pub fn without_limits_of_callers(mut self) -> Self {
        self.visitor_streams = 0;
        for rate in [
            &mut self.visitor_rate,
            &mut self.agent_rate,
            &mut self.bot_rate,
            &mut self.admin_rate,
            &mut self.account_rate,
        ] {
            *rate = 0;
        }
        self
    }
}

/// With such a limit nobody would be served.
#[derive(Debug, thiserror::Error)]
#[error("limits.{0} must be at least 1: with 0 nobody is served")]
pub struct NoRoom(&'static str);

type Rate<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// What is going on in the process, and who asked how often.
pub(crate) struct Limits {
    settings: LimitSettings,
    in_flight: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    visitor_streams: OpenStreams,
    callers: [(Kind, Option<Rate<u64>>); 4],
    accounts: Option<Rate<Uuid>>,
    hasher: RandomState,
    clock: DefaultClock,
    refusals: Vec<HeaderMap>,
    /// Refusals since they were last told: for want of room, and for calling too often.
    refused: [AtomicUsize; 2],
}

/// How many streams each visitor has open.
type OpenStreams = Arc<Mutex<HashMap<u64, usize>>>;

/// A place among those that the process has, and among those of a visitor; given back when it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>, Option<(OpenStreams, u64)>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        if let Some((open, caller)) = &self.1 {
            let open = &mut *open.lock().unwrap_or_else(PoisonError::into_inner);
            match open.get_mut(caller) {
                Some(streams) if *streams > 1 => *streams -= 1,
                _ => drop(open.remove(caller)),
            }
        }
    }
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        fn rate<K: Hash + Eq + Clone>(a_second: u32) -> Option<Rate<K>> {
            let burst = NonZeroU32::new(a_second.saturating_mul(BURST_SECONDS))?;
            Some(Rate::dashmap(Quota::per_second(NonZeroU32::new(a_second)?).allow_burst(burst)))
        }
        Self {
            in_flight: Arc::default(),
            streams: Arc::default(),
            visitor_streams: Arc::default(),
            callers: [
                (Kind::Visitor, rate(settings.visitor_rate)),
                (Kind::Agent, rate(settings.agent_rate)),
                (Kind::Bot, rate(settings.bot_rate)),
                (Kind::Admin, rate(settings.admin_rate)),
            ],
            accounts: rate(settings.account_rate),
            hasher: RandomState::new(),
            clock: DefaultClock::default(),
            refusals: (0..REFUSALS).map(|_| Status::from(overloaded()).into_http::<Body>().headers().clone()).collect(),
            refused: Default::default(),
            settings: settings.clone(),
        }
    }

    /// Full: whoever comes now need not be asked who they are.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) >= self.settings.in_flight
    }

    /// The refusal of [`Limits::call`] for whoever was not let so far, made beforehand.
    pub(crate) fn full(&self) -> Response<Body> {
        self.refused[0].fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.refusals[rand::rng().random_range(0..self.refusals.len())].clone();
        response
    }

    /// A place for a call.
    pub(crate) fn call(&self) -> Result<Place, Refusal> {
        place(&self.in_flight, self.settings.in_flight).ok_or_else(|| self.overloaded())
    }

    /// A place for a call that others wait for already: it is never refused.
    pub(crate) fn nested_call(&self) -> Place {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Place(self.in_flight.clone(), None)
    }

    /// A place for an open stream of this caller.
    pub(crate) fn stream(&self, caller: &Caller) -> Result<Place, Refusal> {
        let mut place = place(&self.streams, self.settings.streams).ok_or_else(|| self.overloaded())?;
        if caller.kind == Kind::Visitor && self.settings.visitor_streams > 0 {
            let key = self.key(caller);
            let mut open = self.visitor_streams.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = open.entry(key).or_default();
            if *mine >= self.settings.visitor_streams {
                self.refused[1].fetch_add(1, Ordering::Relaxed);
                let why = format!("you have {mine} streams open, as many as this installation allows; end one first");
                let again = Duration::from_secs(1);
                return Err(Refusal::shared(Code::ResourceExhausted, Reason::RateLimited, why)
                    .with("whose", "caller")
                    .retry_after(again));
            }
            *mine += 1;
            drop(open);
            place.1 = Some((self.visitor_streams.clone(), key));
        }
        Ok(place)
    }

    /// Of a thousand million callers two may share a number; then they share a limit.
    fn key(&self, caller: &Caller) -> u64 {
        self.hasher.hash_one((caller.account, &caller.actor))
    }

    fn overloaded(&self) -> Refusal {
        self.refused[0].fetch_add(1, Ordering::Relaxed);
        overloaded()
    }

    /// May this caller call again already? Services are bounded by who calls them.
    pub(crate) fn rate(&self, caller: &Caller) -> Result<(), Refusal> {
        self.check_rate(caller).inspect_err(|_| {
            self.refused[1].fetch_add(1, Ordering::Relaxed);
        })
    }

    fn check_rate(&self, caller: &Caller) -> Result<(), Refusal> {
        if caller.kind == Kind::Service {
            return Ok(());
        }
        let mine = self.callers.iter().find(|(kind, _)| *kind == caller.kind).and_then(|(_, rate)| rate.as_ref());
        if let Some(rate) = mine {
            rate.check_key(&self.key(caller))
                .map_err(|early| limited("you call", "caller", early.wait_time_from(self.clock.now())))?;
        }
        if let Some(rate) = &self.accounts {
            let early = rate.check_key(&caller.account.0);
            early.map_err(|early| limited("your account calls", "account", early.wait_time_from(self.clock.now())))?;
        }
        Ok(())
    }

    /// Forgets who has not called for a while, and tells how many were refused, for ever.
    pub(crate) async fn forget(&self) {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            let [overloaded, too_often] = self.refused.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
            if overloaded + too_often > 0 {
                tracing::warn!(overloaded, too_often, "calls were refused in the last minute");
            }
            self.callers.iter().filter_map(|(_, rate)| rate.as_ref()).for_each(RateLimiter::retain_recent);
            self.accounts.iter().for_each(RateLimiter::retain_recent);
        }
    }
}

fn place(taken: &Arc<AtomicUsize>, places: usize) -> Option<Place> {
    let place = Place(taken.clone(), None);
    (taken.fetch_add(1, Ordering::Relaxed) < places).then_some(place)
}

/// Refused at once; not all come back at the same moment.
fn overloaded() -> Refusal {
    let again = Duration::from_millis(rand::rng().random_range(250..1_000));
    let why = "this replica has as much to do as it can; nothing was done, try again";
    Refusal::shared(Code::ResourceExhausted, Reason::Overloaded, why).retry_after(again)
}

fn limited(who: &str, whose: &str, wait: Duration) -> Refusal {
    let wait = wait.max(Duration::from_millis(10));
    let why = format!(
        "{who} more often than this installation allows; nothing was done, try again in {} ms",
        wait.as_millis()
    );
    Refusal::shared(Code::ResourceExhausted, Reason::RateLimited, why).with("whose", whose).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_never_more_than_there_are() {
        let limits = Limits::new(&LimitSettings { in_flight: 2, ..LimitSettings::default() });
        let first = limits.call().unwrap_or_else(|_| panic!("a place"));
        let _nested = limits.nested_call();
        assert!(limits.is_full() && limits.call().is_err() && limits.call().is_err());
        drop(first);
        assert!(limits.call().is_ok());
    }

    #[test]
    fn each_caller_has_a_rate_of_their_own_and_the_account_one_for_all() {
        let settings = LimitSettings { visitor_rate: 1, account_rate: 2, ..LimitSettings::default() };
        let limits = Limits::new(&settings);
        let visitor = |id: &str| Caller {
            kind: Kind::Visitor,
            actor: frontdesk_auth::Actor { kind: Kind::Visitor, id: id.into() },
            ..Caller::service("")
        };
        let calls = |id: &str| (0..10).filter(|_| limits.rate(&visitor(id)).is_ok()).count();
        assert_eq!(calls("one"), 3, "a burst of three seconds");
        assert_eq!(calls("two"), 3);
        assert_eq!(calls("three"), 0, "the account's burst is used up");
        assert!((0..100).all(|_| limits.rate(&Caller::service("conversation")).is_ok()));
    }
}
