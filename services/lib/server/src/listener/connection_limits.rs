//! Limits on the number of connections, in all and for each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Minimum interval between log messages about refused connections.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The part of an IPv6 address that identifies its network: one subscriber has all addresses of a /64.
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// The limits, and the connections that are open.
#[derive(Clone)]
pub(super) struct ConnectionLimits(Arc<Shared>);

struct Shared {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    logged_at: Option<Instant>,
}

/// An open connection; it ends when the permit is dropped.
pub(super) struct ConnectionPermit {
    limits: ConnectionLimits,
    address: IpAddr,
}

impl ConnectionLimits {
    pub(super) fn new(max: usize, max_per_address: usize) -> Self {
        Self(Arc::new(Shared { max, max_per_address, open: Mutex::default() }))
    }

    /// A permit for a connection from this address. None: a limit is reached.
    pub(super) fn try_acquire(&self, address: SocketAddr) -> Option<ConnectionPermit> {
        let address = network(address.ip());
        let open = &mut *self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= self.0.max || from_address >= self.0.max_per_address {
            if open.logged_at.is_none_or(|at| at.elapsed() > LOG_INTERVAL) {
                tracing::warn!(total = open.total, %address, from_address, "refused a connection: there are too many");
                open.logged_at = Some(Instant::now());
            }
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, from_address + 1);
        Some(ConnectionPermit { limits: self.clone(), address })
    }
}

impl ConnectionPermit {
    /// The address that is counted.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let open = &mut *self.limits.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        match open.by_address.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_address.remove(&self.address)),
        }
    }
}

/// The address that is counted: IPv4 also when it is written as IPv6, and of IPv6 the network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[test]
    fn s4_connections_are_limited_in_all_and_for_each_address() {
        let limits = ConnectionLimits::new(3, 2);
        let one = [limits.try_acquire(address("192.0.2.1")), limits.try_acquire(address("::ffff:192.0.2.1"))];
        assert!(one.iter().all(Option::is_some));
        assert!(limits.try_acquire(address("192.0.2.1")).is_none(), "two from one address, however it is written");
        let other = limits.try_acquire(address("192.0.2.2")).unwrap();
        assert!(limits.try_acquire(address("192.0.2.3")).is_none(), "three in all");
        drop((one, other));
        assert!(limits.0.open.lock().unwrap().by_address.is_empty(), "addresses without a connection are forgotten");
        assert!(limits.try_acquire(address("192.0.2.1")).is_some());
    }

    #[test]
    fn s4_the_addresses_of_one_ipv6_network_count_together() {
        let limits = ConnectionLimits::new(10, 1);
        let _permit = limits.try_acquire(address("2001:db8:0:1::1")).unwrap();
        assert!(limits.try_acquire(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(limits.try_acquire(address("2001:db8:0:2::1")).is_some());
    }
}
