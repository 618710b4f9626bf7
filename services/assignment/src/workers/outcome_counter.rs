//! The metric of what became of the conversations that wait.

use opentelemetry::{KeyValue, metrics::Counter};

use crate::domain::RoutingOutcome;

/// Counts what became of conversations that wait. Clones count together.
#[derive(Clone)]
pub(crate) struct OutcomeCounter(Counter<u64>);

impl OutcomeCounter {
    /// A counter with every outcome at 0.
    pub(crate) fn new() -> Self {
        let outcomes = frontdesk_telemetry::meter()
            .u64_counter("frontdesk.routing.outcomes")
            .with_description("What became of conversations that waited for an agent")
            .build();
        let counter = Self(outcomes);
        for outcome in RoutingOutcome::ALL {
            counter.count(outcome, 0);
        }
        counter
    }

    /// Counts this number of conversations.
    pub(crate) fn count(&self, outcome: RoutingOutcome, conversations: usize) {
        self.0.add(conversations as u64, &[KeyValue::new("outcome", outcome.name())]);
    }
}
