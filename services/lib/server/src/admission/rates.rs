//! Rate limits: how often each caller and each account may call this process, and each address send preflights, requests of plain HTTP
//! and tokens that are not valid.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use frontdesk_auth::{Caller, CallerKind};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::LimitSettings;

/// Length of the burst that a rate allows, in seconds of that rate.
const BURST_SECONDS: u32 = 3;
/// Minimum delay that a refused caller is asked to wait.
pub(super) const MIN_RETRY_DELAY: Duration = Duration::from_millis(10);

type Rate<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// The rate of each kind of caller, of accounts, and of what an address sends without a caller. None: no limit.
pub(super) struct RateLimits {
    callers: [(CallerKind, Option<Rate<u64>>); 4],
    /// Of the callers of an account that are not its visitors, who would otherwise use up its team's rate.
    accounts: Option<Rate<Uuid>>,
    account_visitors: Option<Rate<Uuid>>,
    /// Calls that create anonymous visitors and start their chats.
    anonymous_visitors: Option<Rate<IpAddr>>,
    preflights: Option<Rate<IpAddr>>,
    /// Requests of plain HTTP.
    http_requests: Option<Rate<IpAddr>>,
    invalid_tokens: Option<Rate<IpAddr>>,
    /// Until when no new tokens of an address are verified, of the addresses above the rate of invalid ones.
    paused: Mutex<HashMap<IpAddr, Instant>>,
    clock: DefaultClock,
}

/// A rate is exceeded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RateExceeded {
    /// Whose rate.
    pub(super) scope: RateScope,
    /// How long until the next call is allowed.
    pub(super) retry_after: Duration,
}

/// Whose rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateScope {
    /// The caller's own.
    Caller,
    /// That of the account's team, bots and back end.
    Account,
    /// That of all visitors of the account.
    AccountVisitors,
    /// That of the address that the call is from.
    Address,
}

impl RateLimits {
    pub(super) fn new(settings: &LimitSettings) -> Self {
        Self {
            callers: [
                (CallerKind::Visitor, rate(settings.visitor_rate)),
                (CallerKind::Agent, rate(settings.agent_rate)),
                (CallerKind::Bot, rate(settings.bot_rate)),
                (CallerKind::Admin, rate(settings.admin_rate)),
            ],
            accounts: rate(settings.account_rate),
            account_visitors: rate(settings.account_visitor_rate),
            anonymous_visitors: quota_per_minute(settings.anonymous_visitor_rate).map(Rate::dashmap),
            preflights: rate(settings.preflight_rate),
            http_requests: rate(settings.http_rate),
            invalid_tokens: rate(settings.invalid_token_rate),
            paused: Mutex::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a call of this caller; `key` computes its key. Services have no rate: the rates of their own callers bound them.
    pub(super) fn check(&self, caller: &Caller, key: impl FnOnce() -> u64) -> Result<(), RateExceeded> {
        if caller.kind == CallerKind::Service {
            return Ok(());
        }
        let own = self.callers.iter().find(|(kind, _)| *kind == caller.kind).and_then(|(_, rate)| rate.as_ref());
        if let Some(rate) = own {
            self.check_key(RateScope::Caller, rate, &key())?;
        }
        let (scope, rate) = match caller.kind {
            CallerKind::Visitor | CallerKind::Widget => (RateScope::AccountVisitors, &self.account_visitors),
            _ => (RateScope::Account, &self.accounts),
        };
        rate.as_ref().map_or(Ok(()), |rate| self.check_key(scope, rate, &caller.account.0))
    }

    /// Counts a call from this address that creates an anonymous visitor or starts a chat of one.
    pub(super) fn check_anonymous_visitor(&self, address: &IpAddr) -> Result<(), RateExceeded> {
        let rate = self.anonymous_visitors.as_ref();
        rate.map_or(Ok(()), |rate| self.check_key(RateScope::Address, rate, address))
    }

    /// Counts a preflight from this address; fails with how long until the next one is allowed.
    pub(super) fn check_preflight(&self, address: &IpAddr) -> Result<(), Duration> {
        self.check_address(self.preflights.as_ref(), address)
    }

    /// Counts a request of plain HTTP from this address; fails with how long until the next one is allowed.
    pub(super) fn check_http_request(&self, address: &IpAddr) -> Result<(), Duration> {
        self.check_address(self.http_requests.as_ref(), address)
    }

    /// Counts a token from this address that is not valid; fails when there are too many, and pauses the verification of new ones.
    pub(super) fn check_invalid_token(&self, address: &IpAddr) -> Result<(), Duration> {
        self.check_address(self.invalid_tokens.as_ref(), address).inspect_err(|wait| {
            let until = Instant::now() + (*wait).max(MIN_RETRY_DELAY);
            self.paused.lock().unwrap_or_else(PoisonError::into_inner).insert(*address, until);
        })
    }

    /// Fails while no new tokens of this address are verified, with how long that lasts.
    pub(super) fn check_new_token(&self, address: &IpAddr) -> Result<(), Duration> {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = paused.get(address) else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            paused.remove(address);
            return Ok(());
        }
        Err(left)
    }

    fn check_address(&self, rate: Option<&Rate<IpAddr>>, address: &IpAddr) -> Result<(), Duration> {
        rate.map_or(Ok(()), |rate| rate.check_key(address).map_err(|early| early.wait_time_from(self.clock.now())))
    }

    fn check_key<K: Clone + Hash + Eq>(&self, scope: RateScope, rate: &Rate<K>, key: &K) -> Result<(), RateExceeded> {
        rate.check_key(key).map_err(|early| RateExceeded {
            scope,
            retry_after: early.wait_time_from(self.clock.now()).max(MIN_RETRY_DELAY),
        })
    }

    /// Frees the memory of callers, accounts and addresses that have not called for a while.
    pub(super) fn forget_inactive(&self) {
        self.callers.iter().filter_map(|(_, rate)| rate.as_ref()).for_each(RateLimiter::retain_recent);
        self.accounts.iter().chain(&self.account_visitors).for_each(RateLimiter::retain_recent);
        let addresses = self.anonymous_visitors.iter().chain(&self.preflights).chain(&self.http_requests);
        let addresses = addresses.chain(&self.invalid_tokens);
        addresses.for_each(RateLimiter::retain_recent);
        let now = Instant::now();
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }
}

/// A rate of which a whole minute may come at once.
fn quota_per_minute(per_minute: u32) -> Option<Quota> {
    NonZeroU32::new(per_minute).map(Quota::per_minute)
}

fn rate<K: Hash + Eq + Clone>(per_second: u32) -> Option<Rate<K>> {
    let burst = NonZeroU32::new(per_second.saturating_mul(BURST_SECONDS))?;
    Some(Rate::dashmap(Quota::per_second(NonZeroU32::new(per_second)?).allow_burst(burst)))
}

#[cfg(test)]
mod tests {
    use frontdesk_auth::Actor;

    use super::*;

    #[test]
    fn s4_each_caller_has_its_own_rate_and_the_account_one_for_its_visitors_and_one_for_its_team() {
        let settings = LimitSettings { visitor_rate: 1, account_visitor_rate: 2, ..LimitSettings::default() };
        let limits = RateLimits::new(&settings);
        let visitor = Caller {
            kind: CallerKind::Visitor,
            actor: Actor { kind: CallerKind::Visitor, id: "one".into() },
            ..Caller::service("")
        };
        let admitted = |key| (0..10).filter(|_| limits.check(&visitor, || key).is_ok()).count();
        assert_eq!(admitted(1), 3, "a burst of three seconds");
        assert_eq!(limits.check(&visitor, || 1).unwrap_err().scope, RateScope::Caller);
        assert_eq!(admitted(2), 3);
        assert_eq!(admitted(3), 0, "the burst of the account's visitors is used up");
        assert_eq!(limits.check(&visitor, || 4).unwrap_err().scope, RateScope::AccountVisitors);
        let agent = Caller { kind: CallerKind::Agent, ..visitor.clone() };
        assert!((0..100).all(|_| limits.check(&agent, || 6).is_ok()), "visitors do not use up the team's rate");
        assert!((0..100).all(|_| limits.check(&Caller::service("any"), || 5).is_ok()));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let limits = RateLimits::new(&LimitSettings::default().without_caller_limits());
        let visitor = Caller { kind: CallerKind::Visitor, ..Caller::service("") };
        assert!((0..10_000).all(|_| limits.check(&visitor, || 1).is_ok()));
    }

    #[test]
    fn s6_an_address_creates_a_limited_number_of_anonymous_visitors() {
        let limits = RateLimits::new(&LimitSettings { anonymous_visitor_rate: 2, ..LimitSettings::default() });
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let admitted = |address| (0..10).filter(|_| limits.check_anonymous_visitor(address).is_ok()).count();
        assert_eq!((admitted(&one), admitted(&other)), (2, 2), "each address has its own rate");
        let exceeded = limits.check_anonymous_visitor(&one).unwrap_err();
        assert!(exceeded.scope == RateScope::Address && exceeded.retry_after > Duration::from_secs(20), "{exceeded:?}");
    }
}
