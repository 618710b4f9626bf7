//! Metrics: OpenTelemetry instruments, read in the Prometheus text format and exported by OTLP.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry::{KeyValue, global, metrics::Meter};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

/// Interval between two exports by OTLP.
const EXPORT_INTERVAL: Duration = Duration::from_secs(15);
/// How long a measured value is shown, unless it is measured again before.
const SHOWN_FOR: Duration = Duration::from_secs(120);

/// The metrics of this process.
static METRICS: OnceLock<Metrics> = OnceLock::new();

struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

/// Returns the meter that makes the instruments of this process, and starts their collection at the first call.
#[expect(clippy::disallowed_methods, reason = "the one place that starts the collection first")]
pub fn meter() -> Meter {
    start(None);
    global::meter("frontdesk")
}

/// Collects the metrics of the process from now on, and exports them where there is an exporter. OpenTelemetry does not collect
/// instruments made before. A second call in a process has no effect.
pub(crate) fn start(exporter: Option<MetricExporter>) -> SdkMeterProvider {
    let metrics = METRICS.get_or_init(|| {
        let registry = Registry::new();
        let mut provider = SdkMeterProvider::builder().with_resource(crate::resource());
        match opentelemetry_prometheus::exporter().with_registry(registry.clone()).build() {
            Ok(reader) => provider = provider.with_reader(reader),
            Err(error) => tracing::error!(%error, "metrics are not collected for ops.listen"),
        }
        if let Some(exporter) = exporter {
            provider = provider.with_reader(PeriodicReader::builder(exporter).with_interval(EXPORT_INTERVAL).build());
        }
        let provider = provider.build();
        global::set_meter_provider(provider.clone());
        Metrics { registry, provider }
    });
    metrics.provider.clone()
}

/// Returns the metrics in the Prometheus text format; empty before the first instrument.
pub fn metrics_text() -> String {
    let Some(metrics) = METRICS.get() else { return String::new() };
    TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics cannot be encoded");
        String::new()
    })
}

/// A gauge of what is measured now and then, such as the rows of a table. Clones share it. A value is shown for two minutes: after that
/// another replica measures it, or it cannot be measured. Nothing is shown once every clone is dropped.
#[derive(Clone)]
pub struct MeasuredGauge(Arc<Mutex<Values>>);

/// The value of each set of attributes, and when it was measured.
type Values = HashMap<Vec<KeyValue>, (f64, Instant)>;

impl MeasuredGauge {
    /// A gauge without a value. `unit`: a UCUM code such as `s`; empty where things are counted.
    pub fn new(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        let gauge = Self(Arc::default());
        let measured = Arc::downgrade(&gauge.0);
        let _observed = meter()
            .f64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                let Some(values) = measured.upgrade() else { return };
                for (attributes, value) in shown(&values, Instant::now()) {
                    observer.observe(value, &attributes);
                }
            })
            .build();
        gauge
    }

    /// Sets the value of these attributes.
    pub fn set(&self, value: f64, attributes: &[KeyValue]) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(attributes.to_vec(), (value, Instant::now()));
    }
}

/// The values that are shown at this time; the others are forgotten.
fn shown(values: &Mutex<Values>, now: Instant) -> Vec<(Vec<KeyValue>, f64)> {
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    values.retain(|_, (_, measured_at)| now.saturating_duration_since(*measured_at) < SHOWN_FOR);
    values.iter().map(|(attributes, (value, _))| (attributes.clone(), *value)).collect()
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

    #[test]
    fn a_measured_value_is_shown_until_it_is_old_or_its_gauge_is_dropped() {
        let gauge = MeasuredGauge::new("frontdesk.test.measured", "s", "A test");
        gauge.set(1.0, &[KeyValue::new("of", "one")]);
        gauge.set(2.5, &[KeyValue::new("of", "one")]);
        let line = r#"frontdesk_test_measured_seconds{of="one",otel_scope_name="frontdesk"} 2.5"#;
        assert!(metrics_text().contains(line), "{}", metrics_text());
        assert_eq!(shown(&gauge.0, Instant::now()).len(), 1);
        assert!(shown(&gauge.0, Instant::now() + SHOWN_FOR).is_empty());

        gauge.set(3.0, &[]);
        assert!(metrics_text().contains("frontdesk_test_measured_seconds{"));
        drop(gauge);
        assert!(!metrics_text().contains("frontdesk_test_measured_seconds{"), "{}", metrics_text());
    }
}
