//! Logs, traces and metrics, and trace propagation where there is no call: through an outbox row and an event.
//!
//! Logs go to standard error. Spans and metrics are exported by OTLP when an endpoint is set; metrics can also be read in the Prometheus
//! text format. None contains the text of a message, an address or a token. Start reading at [`start`].

mod metrics;

use std::{collections::HashMap, io::IsTerminal, time::Duration};

use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::TracerProvider,
};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator, trace::SdkTracerProvider,
};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

pub use metrics::{MeasuredGauge, meter, metrics_text};

/// The format of logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it must be text or json"),
        }
    }
}

/// Which logs are written, and where traces and metrics go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// The filter of logs, such as `info` or `info,frontdesk=debug`.
    pub log: String,
    /// The format of logs.
    pub log_format: LogFormat,
    /// OTLP endpoint (gRPC) for traces and metrics, such as `http://localhost:4317`. Empty: none.
    pub otlp_endpoint: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: "info,sqlx=warn,sea_orm_migration=warn,async_nats=error,opentelemetry=warn".into(),
            log_format: LogFormat::Text,
            otlp_endpoint: String::new(),
        }
    }
}

/// How long an export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long exporting the last spans and metrics at the shutdown may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The running export of spans and metrics; [`Telemetry::shutdown`] flushes and ends it.
pub struct Telemetry {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// Starts logs, traces and metrics for the whole process, within its runtime. A second call in a process has no effect on logs and metrics.
pub fn start(settings: &TelemetrySettings) -> Result<Telemetry, Box<dyn std::error::Error + Send + Sync>> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| {
        format!("telemetry.log = {:?} must be a filter such as info,frontdesk=debug: {error}", settings.log)
    })?;
    let endpoint = settings.otlp_endpoint.as_str();
    // Its error would quote the address, which may contain a password.
    let unusable = "telemetry.otlp_endpoint must be an address such as http://localhost:4317";
    let (provider, metrics) = if endpoint.is_empty() {
        // Trace ids exist also without an export, so that one can be quoted from a log.
        (SdkTracerProvider::builder().build(), metrics::start(None))
    } else {
        let spans = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT);
        let metrics = MetricExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT);
        let (spans, metrics) = (spans.build().map_err(|_| unusable)?, metrics.build().map_err(|_| unusable)?);
        let provider = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource()).build();
        (provider, metrics::start(Some(metrics)))
    };
    // Without this filter the spans of the exporter's own transport would be exported, without end.
    let own_spans = filter_fn(|metadata| metadata.target().starts_with("frontdesk"));
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("frontdesk")).with_filter(own_spans);
    let logs = match settings.log_format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(filter).boxed()
        }
    };
    // Fails only when there is a subscriber already, as in tests that start several servers.
    let _ = tracing_subscriber::registry().with(spans).with(logs).try_init();
    Ok(Telemetry { spans: provider, metrics })
}

/// What the process is called in traces and metrics.
fn resource() -> Resource {
    Resource::builder().with_service_name("frontdesk").build()
}

impl Telemetry {
    /// Exports the remaining spans and the metrics, for at most 3 s, and ends the export of spans.
    pub async fn shutdown(self) {
        let Self { spans, metrics } = self;
        // Blocking a worker of the runtime can deadlock with the calls of the exporters.
        let spans = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        let metrics = tokio::task::spawn_blocking(move || metrics.force_flush());
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, async { tokio::join!(spans, metrics) }).await;
    }

    /// Exports the spans that have ended.
    pub async fn flush(&self) {
        let spans = self.spans.clone();
        let _ = tokio::task::spawn_blocking(move || spans.force_flush()).await;
    }
}

/// The trace of the current span as a W3C `traceparent`; empty when there is none.
pub fn traceparent() -> String {
    let mut carrier = HashMap::new();
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Carrier(&mut carrier)));
    carrier.remove("traceparent").unwrap_or_default()
}

/// Makes `span` a child of the trace in `traceparent`. An empty or malformed one has no effect.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(&mut carrier)));
    let _ = span.set_parent(context);
}

/// The headers that the propagator reads and writes.
struct Carrier<'a>(&'a mut HashMap<String, String>);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn in_span(test: impl FnOnce(&Span)) {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        tracing::subscriber::with_default(subscriber, || test(&tracing::info_span!("handle")));
    }

    #[test]
    fn a_span_continues_the_trace_of_a_traceparent() {
        in_span(|span| {
            continue_trace(span, TRACEPARENT);
            let own = span.in_scope(traceparent);
            assert_eq!(own[..35], TRACEPARENT[..35], "the same trace");
            assert_ne!(own[36..52], TRACEPARENT[36..52], "another span");
        });
    }

    #[test]
    fn a_malformed_traceparent_has_no_effect() {
        for malformed in ["", "00-zz-01", "not a trace"] {
            in_span(|span| {
                continue_trace(span, malformed);
                assert_eq!(span.in_scope(traceparent).len(), TRACEPARENT.len(), "a trace of its own: {malformed}");
            });
        }
    }
}
