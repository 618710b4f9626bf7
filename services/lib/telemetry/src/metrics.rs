//! Metrics: OpenTelemetry instruments, read in the Prometheus text format.

use std::sync::OnceLock;

use opentelemetry::{global, metrics::Meter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// The metrics of this process.
static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Returns the meter that makes the instruments of this process, and starts their collection at the first call.
#[expect(clippy::disallowed_methods, reason = "the one place that starts the collection first")]
pub fn meter() -> Meter {
    start();
    global::meter("frontdesk")
}

/// Collects the metrics of the process from now on. OpenTelemetry does not collect instruments made before.
fn start() {
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        match opentelemetry_prometheus::exporter().with_registry(registry.clone()).build() {
            Ok(exporter) => {
                let provider = SdkMeterProvider::builder().with_resource(crate::resource()).with_reader(exporter);
                global::set_meter_provider(provider.build());
            }
            Err(error) => tracing::error!(%error, "metrics are not collected"),
        }
        registry
    });
}

/// Returns the metrics in the Prometheus text format; empty before the first instrument.
pub fn metrics_text() -> String {
    let Some(registry) = REGISTRY.get() else { return String::new() };
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics cannot be encoded");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_the_service() {
        meter().u64_counter("frontdesk.test").build().add(1, &[]);
        let text = metrics_text();
        assert!(text.contains(r#"service_name="frontdesk""#), "{text}");
    }
}
