//! The metric of deliveries that ended.

use opentelemetry::{KeyValue, metrics::Counter};

use crate::domain::DeliveryStatus;

/// Counts deliveries by the status in which they ended. Clones count together.
#[derive(Clone)]
pub(crate) struct DeliveryCounter(Counter<u64>);

impl DeliveryCounter {
    /// A counter with every status at 0: an alert on an increase also sees the first one.
    pub(crate) fn new() -> Self {
        let deliveries = frontdesk_telemetry::meter()
            .u64_counter("frontdesk.mail.deliveries")
            .with_description("Deliveries that ended, by status; one that is retried may end again")
            .build();
        let counter = Self(deliveries);
        for status in DeliveryStatus::ENDED {
            counter.count(status, 0);
        }
        counter
    }

    /// Counts this number of deliveries that have the status now, if they ended with it.
    pub(crate) fn count(&self, status: DeliveryStatus, deliveries: usize) {
        if DeliveryStatus::ENDED.contains(&status) {
            self.0.add(deliveries as u64, &[KeyValue::new("status", status.as_str())]);
        }
    }
}
