//! The metric of the attempts to send a mail.

use opentelemetry::{KeyValue, metrics::Counter};

use crate::domain::AttemptOutcome;

/// Counts the attempts to send a mail, by their outcome.
#[derive(Clone)]
pub(crate) struct AttemptCounter(Counter<u64>);

impl AttemptCounter {
    /// A counter with every outcome at 0: an alert on an increase also sees the first attempt.
    pub(crate) fn new() -> Self {
        let attempts = frontdesk_telemetry::meter()
            .u64_counter("frontdesk.mail.attempts")
            .with_description("Attempts to send a mail, by outcome; configuration_fault needs a person")
            .build();
        for outcome in AttemptOutcome::NAMES {
            attempts.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        Self(attempts)
    }

    /// Counts one attempt.
    pub(crate) fn count(&self, outcome: &AttemptOutcome) {
        self.0.add(1, &[KeyValue::new("outcome", outcome.name())]);
    }
}
