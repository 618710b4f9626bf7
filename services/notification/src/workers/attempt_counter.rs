//! The metric of the attempts to send a mail, and what they say of the mail server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use opentelemetry::{KeyValue, metrics::Counter};

use crate::domain::AttemptOutcome;

/// Counts the attempts to send a mail, by their outcome. Clones count together.
#[derive(Clone)]
pub(crate) struct AttemptCounter {
    counter: Counter<u64>,
    /// The mail server refused the last mail that it answered for a reason that concerns every mail.
    refuses_every_mail: Arc<AtomicBool>,
}

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
        Self { counter: attempts, refuses_every_mail: Arc::default() }
    }

    /// Counts one attempt.
    pub(crate) fn count(&self, outcome: &AttemptOutcome) {
        self.counter.add(1, &[KeyValue::new("outcome", outcome.name())]);
        match outcome {
            AttemptOutcome::ConfigurationFault(_) => self.refuses_every_mail.store(true, Ordering::Relaxed),
            // They may have ended before the server said anything.
            AttemptOutcome::TransientFailure(_) | AttemptOutcome::Unknown(_) => {}
            AttemptOutcome::Accepted(_)
            | AttemptOutcome::TooLarge { .. }
            | AttemptOutcome::PermanentFailure(_)
            | AttemptOutcome::RecipientRefused { .. } => self.refuses_every_mail.store(false, Ordering::Relaxed),
        }
    }

    /// Returns whether the mail server refuses every mail until its settings or Frontdesk's are repaired.
    pub(crate) fn refuses_every_mail(&self) -> bool {
        self.refuses_every_mail.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_a_mail_server_that_refuses_every_mail_is_known_until_it_takes_one() {
        let (attempts, outcome) = (AttemptCounter::new(), || "a response".to_owned());
        assert!(!attempts.refuses_every_mail());
        attempts.count(&AttemptOutcome::ConfigurationFault(outcome()));
        attempts.count(&AttemptOutcome::TransientFailure(outcome()));
        assert!(attempts.clone().refuses_every_mail());
        attempts.count(&AttemptOutcome::Accepted(outcome()));
        assert!(!attempts.refuses_every_mail());
    }
}
