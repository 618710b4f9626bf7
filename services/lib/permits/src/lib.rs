//! Limits how much is done at the same time, in all and for each resource: who asks for one resource again and again leaves room for others.
//!
//! Start reading at [`Permits::acquire`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The permits. Clones share them.
#[derive(Clone, Debug)]
pub struct Permits {
    all: Arc<Semaphore>,
    /// Number of callers that have one or wait for one, by resource.
    of_resources: Arc<Mutex<HashMap<Uuid, usize>>>,
    max_of_resource: usize,
    max_wait: Duration,
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    _of_resource: OfResource,
    _all: OwnedSemaphorePermit,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// None was free during the wait.
    All,
    /// The resource has its maximum, and was not waited for.
    Resource,
}

/// One of the callers of a resource.
#[derive(Debug)]
struct OfResource {
    resource: Uuid,
    of_resources: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Permits {
    /// Returns `all` permits, of which one resource has `max_of_resource` at most. A caller waits for one for `max_wait` at most.
    pub fn new(all: usize, max_of_resource: usize, max_wait: Duration) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_resources: Arc::default(), max_of_resource, max_wait }
    }

    /// Waits for a permit for this resource.
    pub async fn acquire(&self, resource: Uuid) -> Result<Permit, Full> {
        let of_resource = self.count(resource).ok_or(Full::Resource)?;
        match tokio::time::timeout(self.max_wait, self.all.clone().acquire_owned()).await {
            Ok(Ok(all)) => Ok(Permit { _of_resource: of_resource, _all: all }),
            Ok(Err(_)) | Err(_) => Err(Full::All),
        }
    }

    fn count(&self, resource: Uuid) -> Option<OfResource> {
        let mut of_resources = self.of_resources.lock().unwrap_or_else(PoisonError::into_inner);
        let number = of_resources.entry(resource).or_default();
        if *number >= self.max_of_resource {
            return None;
        }
        *number += 1;
        drop(of_resources);
        Some(OfResource { resource, of_resources: self.of_resources.clone() })
    }
}

impl Drop for OfResource {
    fn drop(&mut self) {
        let mut of_resources = self.of_resources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = of_resources.get_mut(&self.resource) {
            *number -= 1;
            if *number == 0 {
                of_resources.remove(&self.resource);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s4_who_asks_for_one_resource_does_not_use_up_all_permits() {
        let permits = Permits::new(3, 2, Duration::ZERO);
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let held = [permits.acquire(one).await, permits.acquire(one).await];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(permits.acquire(one).await.err(), Some(Full::Resource));
        let last = permits.acquire(other).await;
        assert!(last.is_ok());
        assert_eq!(permits.acquire(other).await.err(), Some(Full::All));
        drop(held);
        assert!(permits.acquire(one).await.is_ok());
        drop(last);
        assert!(permits.of_resources.lock().unwrap().is_empty(), "what waited in vain is not counted");
    }

    #[tokio::test]
    async fn s4_who_asks_beyond_the_limit_waits_for_a_permit_to_be_dropped() {
        let permits = Permits::new(1, 1, Duration::from_secs(60));
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let held = permits.acquire(one).await;
        assert_eq!(permits.acquire(one).await.err(), Some(Full::Resource), "the same resource does not wait");
        let mut waiting = Box::pin(permits.acquire(other));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(held);
        assert!(waiting.await.is_ok());
    }
}
