//! The deliveries that the worker processes, and their maxima.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::{
    sync::Semaphore,
    task::{Id, JoinError, JoinSet},
};
use uuid::Uuid;

/// The deliveries that this worker processes.
pub(super) struct Running {
    pub(super) tasks: JoinSet<()>,
    pub(super) deliveries: HashMap<Id, (Uuid, String)>,
    /// Permits to compose and send.
    pub(super) slots: Arc<Semaphore>,
    max: usize,
    max_per_domain: usize,
}

impl Running {
    pub(super) fn new(max: usize, max_per_domain: usize) -> Self {
        let slots = Arc::new(Semaphore::new(max));
        Self { tasks: JoinSet::new(), deliveries: HashMap::new(), slots, max, max_per_domain }
    }

    pub(super) fn ids(&self) -> HashSet<Uuid> {
        self.deliveries.values().map(|(id, _)| *id).collect()
    }

    /// Number of deliveries that can be started. As many as are composed or sent may wait to be recorded.
    pub(super) fn free(&self) -> usize {
        self.slots.available_permits().min((2 * self.max).saturating_sub(self.deliveries.len()))
    }

    /// Returns whether the outcome of one is being recorded.
    pub(super) fn is_recording(&self) -> bool {
        self.deliveries.len() + self.slots.available_permits() > self.max
    }

    /// Number of further deliveries to a domain that can be started.
    pub(super) fn room(&self, domain: &str) -> usize {
        // Their mails are not composed: nothing is sent to them yet.
        if domain.is_empty() {
            return usize::MAX;
        }
        let to_domain = self.deliveries.values().filter(|(_, running)| running == domain).count();
        self.max_per_domain.saturating_sub(to_domain)
    }

    /// Waits until one has ended. None: there is none.
    pub(super) async fn next_ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        self.remove(ended);
        Some(())
    }

    /// Removes those that have ended.
    pub(super) fn remove_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.remove(ended);
        }
    }

    fn remove(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
        self.deliveries.remove(&id);
    }

    /// Waits until one can be started that could not before.
    pub(super) async fn slot_is_free(slots: &Semaphore) {
        drop(slots.acquire().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(running: &mut Running, number: u128, domain: &str) {
        let slot = running.slots.clone().try_acquire_owned().ok();
        let id = running.tasks.spawn(async move { drop(slot) }).id();
        running.deliveries.insert(id, (Uuid::from_u128(number), domain.to_owned()));
    }

    #[tokio::test]
    async fn t8_a_domain_has_a_maximum_of_its_own_until_its_deliveries_have_ended() {
        let mut running = Running::new(4, 2);
        start(&mut running, 1, "slow.example");
        start(&mut running, 2, "slow.example");
        assert_eq!((running.room("slow.example"), running.room("other.example"), running.free()), (0, 2, 2));
        // They are recorded, as far as the worker knows.
        Running::slot_is_free(&running.slots).await;
        while running.next_ended().await.is_some() {}
        assert_eq!((running.room("slow.example"), running.free(), running.is_recording()), (2, 4, false));
        assert!(running.ids().is_empty());
    }
}
