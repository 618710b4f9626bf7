//! Logs, traces and metrics, and how a trace travels where there is no call: in an outbox row, in an event.
//!
//! Logs go to standard error. Spans are exported by OTLP when an endpoint is set. Neither ever holds a message's text, an
//! address or a token.

mod metrics;

use std::{collections::HashMap, io::IsTerminal, time::Duration};

use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::TracerProvider,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

pub use metrics::{metrics_text, start_metrics};

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where logs and traces go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Which logs: a filter such as `info` or `info,frontdesk=debug`.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// OTLP endpoint (gRPC) for traces, such as `http://localhost:4317`. Empty: none.
    pub otlp_endpoint: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: "info,sqlx=warn,sea_orm_migration=warn,async_nats=error".into(),
            log_format: LogFormat::Text,
            otlp_endpoint: String::new(),
        }
    }
}

/// Keeps the export going; [`Telemetry::shutdown`] flushes it.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts logs and traces for the whole process. A second call in a process leaves the first as it is.
pub fn start(settings: &TelemetrySettings) -> Result<Telemetry, Box<dyn std::error::Error + Send + Sync>> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_new(&settings.log)?;
    let provider = if settings.otlp_endpoint.is_empty() {
        // Trace ids are made all the same, so that one can be quoted from a log.
        SdkTracerProvider::builder().build()
    } else {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&settings.otlp_endpoint)
            .with_timeout(Duration::from_secs(5))
            .build()?;
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("frontdesk").build())
            .build()
    };
    // Spans of the transport would be exported by the transport, which makes spans.
    let ours = filter_fn(|metadata| metadata.target().starts_with("frontdesk"));
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("frontdesk")).with_filter(ours);
    let logs = match settings.log_format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(filter).boxed()
        }
    };
    // Fails only when a subscriber is there already, as in tests that start several suites.
    let _ = tracing_subscriber::registry().with(spans).with(logs).try_init();
    Ok(Telemetry(Some(provider)))
}

impl Telemetry {
    /// Sends what is left, for at most three seconds.
    pub async fn shutdown(mut self) {
        if let Some(provider) = self.0.take() {
            // Blocking inside a runtime's worker can deadlock with the exporter's own calls.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(Duration::from_secs(3))).await;
        }
    }

    /// Sends what is there now.
    pub async fn flush(&self) {
        if let Some(provider) = self.0.clone() {
            let _ = tokio::task::spawn_blocking(move || provider.force_flush()).await;
        }
    }
}

/// The trace of the current span as a W3C `traceparent`; empty when it has none.
pub fn traceparent() -> String {
    let mut carrier = HashMap::new();
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Carrier(&mut carrier)));
    carrier.remove("traceparent").unwrap_or_default()
}

/// Makes `span` a child of the trace that `traceparent` names; an empty or bad one changes nothing.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(&mut carrier)));
    let _ = span.set_parent(context);
}

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
