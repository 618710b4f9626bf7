//! The metric of the events that consumers have not handled, the same on every bus.

use frontdesk_telemetry::MeasuredGauge;

/// Returns the gauge; its attribute `consumer` is the consumer's name with `_` for the dot, as brokers have it.
pub(crate) fn unhandled_gauge() -> MeasuredGauge {
    MeasuredGauge::new("frontdesk.bus.unhandled", "", "Events that a consumer has not handled")
}
