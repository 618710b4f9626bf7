//! Events of one consumer that wait at the same time are handled together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use frontdesk_proto::event::v1::Event;
use tokio::sync::oneshot;

use crate::consumer::Consumer;

/// The events of one consumer that wait for the next batch. A batch takes what waits when the one before has ended; nothing waits for
/// more events.
#[derive(Default)]
pub(crate) struct Batches {
    waiting: Mutex<Vec<Waiting>>,
    /// Locked while a batch is handled.
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    event: Event,
    /// Receives whether the batch handled the event.
    handled: oneshot::Sender<bool>,
}

impl Batches {
    /// Handles the event in a batch. False: it is to be handled by itself.
    pub(crate) async fn handle(&self, consumer: &dyn Consumer, event: &Event) -> bool {
        let (handled, mut result) = oneshot::channel();
        self.waiting().push(Waiting { event: event.clone(), handled });
        let _turn = self.turn.lock().await;
        match result.try_recv() {
            Ok(handled) => handled,
            // The batch panicked or took too long.
            Err(oneshot::error::TryRecvError::Closed) => false,
            Err(oneshot::error::TryRecvError::Empty) => {
                self.handle_waiting(consumer).await;
                // This event may wait for the next batch when more waited than one can take: it goes by itself then.
                result.try_recv().unwrap_or(false)
            }
        }
    }

    async fn handle_waiting(&self, consumer: &dyn Consumer) {
        let batch: Vec<Waiting> = {
            let mut waiting = self.waiting();
            // Those whose attempt has ended get another one.
            waiting.retain(|one| !one.handled.is_closed());
            let size = waiting.len().min(consumer.max_batch());
            waiting.drain(..size).collect()
        };
        let (events, results): (Vec<Event>, Vec<_>) = batch.into_iter().map(|one| (one.event, one.handled)).unzip();
        for (result, handled) in results.into_iter().zip(consumer.handle_batch(&events).await) {
            let _ = result.send(handled);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{sync::Semaphore, task::JoinSet};

    use super::*;
    use crate::consumer::Outcome;

    /// Handles batches one permit each, and all of their events but those without an id.
    struct Gated {
        permits: Semaphore,
        sizes: Mutex<Vec<usize>>,
    }

    #[async_trait::async_trait]
    impl Consumer for Gated {
        fn name(&self) -> &'static str {
            "gated"
        }
        fn source(&self) -> &'static str {
            "test"
        }
        fn types(&self) -> Vec<String> {
            Vec::new()
        }
        async fn handle(&self, _: &Event) -> Outcome {
            unreachable!("events are handled in batches")
        }
        fn max_batch(&self) -> usize {
            3
        }
        async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
            self.permits.acquire().await.unwrap().forget();
            self.sizes.lock().unwrap().push(events.len());
            assert!(events.iter().all(|event| event.id != "panic"), "planted");
            events.iter().map(|event| !event.id.is_empty()).collect()
        }
    }

    struct Fixture {
        consumer: Arc<Gated>,
        batches: Arc<Batches>,
        running: JoinSet<bool>,
    }

    impl Fixture {
        fn new() -> Self {
            let consumer = Arc::new(Gated { permits: Semaphore::new(0), sizes: Mutex::default() });
            Self { consumer, batches: Arc::default(), running: JoinSet::new() }
        }

        /// Begins to handle an event, and lets it wait.
        async fn begin(&mut self, id: &str) -> tokio::task::AbortHandle {
            let (consumer, batches, event) =
                (self.consumer.clone(), self.batches.clone(), Event { id: id.into(), ..Event::default() });
            let handle = self.running.spawn(async move { batches.handle(&*consumer, &event).await });
            tokio::task::yield_now().await;
            handle
        }

        /// The number of events that batches handled, and the sizes of the batches.
        async fn end(mut self) -> (usize, Vec<usize>) {
            self.consumer.permits.add_permits(100);
            let mut handled = 0;
            while let Some(ended) = self.running.join_next().await {
                handled += usize::from(ended.unwrap_or(false));
            }
            (handled, self.consumer.sizes.lock().unwrap().clone())
        }
    }

    #[tokio::test]
    async fn events_that_wait_while_a_batch_is_handled_are_the_next_ones() {
        let mut fixture = Fixture::new();
        for id in ["first", "a", "b", "c", "d"] {
            fixture.begin(id).await;
        }
        assert_eq!(fixture.end().await, (5, vec![1, 3, 1]));
    }

    #[tokio::test]
    async fn an_event_that_a_batch_leaves_out_is_handled_by_itself() {
        let mut fixture = Fixture::new();
        for id in ["first", "a", "", "c"] {
            fixture.begin(id).await;
        }
        assert_eq!(fixture.end().await, (3, vec![1, 3]));
    }

    #[tokio::test]
    async fn the_events_of_a_batch_that_panics_are_handled_by_themselves() {
        let mut fixture = Fixture::new();
        for id in ["first", "panic", "b", "c", "next"] {
            fixture.begin(id).await;
        }
        assert_eq!(fixture.end().await, (2, vec![1, 3, 1]), "the first, and the one after the batch");
    }

    #[tokio::test]
    async fn an_attempt_that_ended_while_its_event_waited_is_in_no_batch() {
        let mut fixture = Fixture::new();
        fixture.begin("first").await;
        let given_up = fixture.begin("given up").await;
        fixture.begin("b").await;
        given_up.abort();
        tokio::task::yield_now().await;
        assert_eq!(fixture.end().await, (2, vec![1, 1]));
    }
}
