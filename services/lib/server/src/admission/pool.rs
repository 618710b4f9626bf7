//! Pools of what callers hold at the same time: open streams, requests that are arriving, unread answers. A pool bounds the units that
//! all hold together and those of each holder, so that one visitor, account or address does not take what others need.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

/// Identifies a connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(u64);

impl Default for ConnectionId {
    /// A new id.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Who holds units of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// A visitor, by its key.
    Visitor(u64),
    /// The calls of a connection.
    Connection(ConnectionId),
    /// The connections of an address; of IPv6 the /64 network.
    Address(IpAddr),
    /// The visitors of an account.
    AccountVisitors(Uuid),
    /// The callers of an account.
    Account(Uuid),
    /// All callers.
    All,
}

/// What a pool is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Open streams of callers; the unit is one.
    Streams,
    /// Open `Watch` calls of the health service; the unit is one.
    HealthWatches,
    /// Open reflection streams; the unit is one.
    ReflectionStreams,
    /// Large requests that are arriving; the unit is a byte.
    Requests,
    /// Answers that wait to be read; the unit is a byte.
    Answers,
}

/// A number of units that callers share. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    resource: Resource,
    max: usize,
    held: HeldUnits,
}

/// Number of units of each holder that has any.
type HeldUnits = Arc<Mutex<HashMap<Holder, usize>>>;

/// The units of a pool that a call holds, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    resource: Resource,
    /// Those whom the units are counted for, each with its maximum. The last one is [`Holder::All`].
    holders: Vec<(Holder, usize)>,
    held: HeldUnits,
    units: usize,
}

/// A holder has its maximum number of units.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PoolExceeded {
    pub(super) resource: Resource,
    pub(super) holder: Holder,
    pub(super) max: usize,
}

impl Pool {
    pub(super) fn new(resource: Resource, max: usize) -> Self {
        Self { resource, max, held: HeldUnits::default() }
    }

    /// Whether all units are held.
    pub(super) fn is_full(&self) -> bool {
        self.held() >= self.max
    }

    /// Number of units that are held.
    pub(super) fn held(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&Holder::All).copied().unwrap_or(0)
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// A permit without units for these holders, each with its maximum.
    pub(super) fn permit(&self, mut holders: Vec<(Holder, usize)>) -> Permit {
        holders.push((Holder::All, self.max));
        Permit { resource: self.resource, holders, held: self.held.clone(), units: 0 }
    }
}

impl Permit {
    /// Number of its units.
    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// Adds units. Fails when one of its holders would exceed its maximum; a holder without units may hold any number, within the pool.
    pub(super) fn try_add(&mut self, units: usize) -> Result<(), PoolExceeded> {
        let held = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (holder, max) in &self.holders {
            let before = held.get(holder).copied().unwrap_or(0);
            let is_first = before == 0 && *holder != Holder::All;
            if !is_first && before.saturating_add(units) > *max {
                return Err(PoolExceeded { resource: self.resource, holder: *holder, max: *max });
            }
        }
        for (holder, _) in &self.holders {
            *held.entry(*holder).or_default() += units;
        }
        self.units += units;
        Ok(())
    }

    /// Fails when a visitor or an account of its holders has its maximum.
    pub(super) fn check_room(&self) -> Result<(), PoolExceeded> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |(holder, max): &&(Holder, usize)| {
            matches!(holder, Holder::Visitor(_) | Holder::Account(_))
                && held.get(holder).is_some_and(|held| held >= max)
        };
        match self.holders.iter().find(is_full) {
            Some(&(holder, max)) => Err(PoolExceeded { resource: self.resource, holder, max }),
            None => Ok(()),
        }
    }

    /// The same without a maximum.
    pub(super) fn without_maximum(mut self) -> Self {
        self.holders.iter_mut().for_each(|(_, max)| *max = usize::MAX);
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let held = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (holder, _) in &self.holders {
            match held.get_mut(holder) {
                Some(units) if *units > self.units => *units -= self.units,
                _ => drop(held.remove(holder)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: (Holder, usize) = (Holder::Account(Uuid::nil()), 3);

    /// The units of a visitor of the account, or who has no more.
    fn hold(pool: &Pool, visitor: u64, units: usize) -> Result<Permit, Holder> {
        let mut permit = pool.permit(vec![(Holder::Visitor(visitor), 2), ACCOUNT]);
        permit.try_add(units).map(|()| permit).map_err(|exceeded| exceeded.holder)
    }

    #[test]
    fn s4_a_pool_is_limited_for_each_holder_and_in_all() {
        let pool = Pool::new(Resource::Streams, 4);
        let mut permits = vec![hold(&pool, 1, 1).unwrap(), hold(&pool, 1, 1).unwrap()];
        assert_eq!(hold(&pool, 1, 1).unwrap_err(), Holder::Visitor(1));
        permits.push(hold(&pool, 2, 1).unwrap());
        assert_eq!(hold(&pool, 3, 1).unwrap_err(), ACCOUNT.0);
        let mut other = pool.permit(Vec::new());
        other.try_add(1).unwrap();
        assert!(pool.is_full());
        assert_eq!(pool.permit(Vec::new()).try_add(1).unwrap_err().holder, Holder::All);
        drop((permits, other));
        assert!(pool.held.lock().unwrap().is_empty(), "those who hold nothing are forgotten");
        assert!(hold(&pool, 1, 1).is_ok());
    }

    #[test]
    fn s4_a_permit_grows_within_the_maximum_and_the_first_of_a_holder_has_room() {
        let pool = Pool::new(Resource::Answers, 10);
        let mut permit = hold(&pool, 1, 1).unwrap();
        permit.try_add(1).unwrap();
        assert!(permit.try_add(1).is_err() && permit.units() == 2, "a refused addition adds nothing");
        drop(permit);
        assert_eq!(hold(&pool, 1, 9).unwrap().units(), 9, "more than the visitor's maximum");
        assert_eq!(hold(&pool, 1, 11).unwrap_err(), Holder::All);
        let permit = hold(&pool, 1, 2).unwrap();
        let mut another = pool.permit(vec![(Holder::Visitor(1), 2)]).without_maximum();
        another.try_add(100).unwrap();
        drop((permit, another));
        assert!(!pool.is_full());
    }
}
