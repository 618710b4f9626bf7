//! How many files are transferred at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Permits for transfers in one direction. Clones share them.
#[derive(Clone)]
pub(super) struct Permits {
    all: Arc<Semaphore>,
    /// Number of those in use, by attachment: who has one link must not use up all.
    in_use: Arc<Mutex<HashMap<Uuid, usize>>>,
    max_of_attachment: usize,
}

/// A permit, until it is dropped.
pub(super) struct Permit {
    attachment: Uuid,
    in_use: Arc<Mutex<HashMap<Uuid, usize>>>,
    _all: OwnedSemaphorePermit,
}

impl Permits {
    pub(super) fn new(all: usize, max_of_attachment: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), in_use: Arc::default(), max_of_attachment }
    }

    /// None: none is free.
    pub(super) fn try_acquire(&self, attachment: Uuid) -> Option<Permit> {
        let all = self.all.clone().try_acquire_owned().ok()?;
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let of_attachment = in_use.entry(attachment).or_default();
        if *of_attachment >= self.max_of_attachment {
            return None;
        }
        *of_attachment += 1;
        drop(in_use);
        Some(Permit { attachment, in_use: self.in_use.clone(), _all: all })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_attachment) = in_use.get_mut(&self.attachment) {
            *of_attachment -= 1;
            if *of_attachment == 0 {
                in_use.remove(&self.attachment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_who_has_one_link_does_not_use_up_all_permits() {
        let permits = Permits::new(3, 2);
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let held = [permits.try_acquire(one), permits.try_acquire(one)];
        assert!(held.iter().all(Option::is_some) && permits.try_acquire(one).is_none());
        let last = permits.try_acquire(other);
        assert!(last.is_some() && permits.try_acquire(other).is_none(), "all are in use");
        drop(held);
        assert!(permits.try_acquire(one).is_some());
        drop(last);
        assert!(permits.in_use.lock().unwrap().is_empty());
    }
}
