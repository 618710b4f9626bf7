//! How many files are transferred at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Permits for transfers in one direction. Clones share them.
#[derive(Clone)]
pub(super) struct Permits {
    all: Arc<Semaphore>,
    /// Number of transfers that have one or wait for one, by attachment: who has one link must not use up all.
    of_attachments: Arc<Mutex<HashMap<Uuid, usize>>>,
    max_of_attachment: usize,
    max_wait: Duration,
}

/// A permit, until it is dropped.
pub(super) struct Permit {
    _of_attachment: OfAttachment,
    _all: OwnedSemaphorePermit,
}

/// One of the transfers of an attachment.
struct OfAttachment {
    attachment: Uuid,
    of_attachments: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Permits {
    pub(super) fn new(all: usize, max_of_attachment: usize, max_wait: Duration) -> Self {
        let all = Arc::new(Semaphore::new(all));
        Self { all, of_attachments: Arc::default(), max_of_attachment, max_wait }
    }

    /// Waits for a permit. None: none is free after the wait, or the attachment has too many transfers already.
    pub(super) async fn acquire(&self, attachment: Uuid) -> Option<Permit> {
        let of_attachment = self.count(attachment)?;
        let all = tokio::time::timeout(self.max_wait, self.all.clone().acquire_owned()).await;
        Some(Permit { _of_attachment: of_attachment, _all: all.ok()?.ok()? })
    }

    fn count(&self, attachment: Uuid) -> Option<OfAttachment> {
        let mut of_attachments = self.of_attachments.lock().unwrap_or_else(PoisonError::into_inner);
        let number = of_attachments.entry(attachment).or_default();
        if *number >= self.max_of_attachment {
            return None;
        }
        *number += 1;
        drop(of_attachments);
        Some(OfAttachment { attachment, of_attachments: self.of_attachments.clone() })
    }
}

impl Drop for OfAttachment {
    fn drop(&mut self) {
        let mut of_attachments = self.of_attachments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = of_attachments.get_mut(&self.attachment) {
            *number -= 1;
            if *number == 0 {
                of_attachments.remove(&self.attachment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s4_who_has_one_link_does_not_use_up_all_permits() {
        let permits = Permits::new(3, 2, Duration::ZERO);
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let held = [permits.acquire(one).await, permits.acquire(one).await];
        assert!(held.iter().all(Option::is_some) && permits.acquire(one).await.is_none());
        let last = permits.acquire(other).await;
        assert!(last.is_some() && permits.acquire(other).await.is_none(), "all are in use");
        drop(held);
        assert!(permits.acquire(one).await.is_some());
        drop(last);
        assert!(permits.of_attachments.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn s4_a_transfer_beyond_the_limit_waits_for_the_end_of_another() {
        let permits = Permits::new(1, 1, Duration::from_secs(60));
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let held = permits.acquire(one).await;
        assert!(permits.acquire(one).await.is_none(), "the same link does not wait");
        let mut waiting = Box::pin(permits.acquire(other));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(held);
        assert!(waiting.await.is_some());
    }
}
