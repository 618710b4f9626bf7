//! One trace from the call to the mail, through outbox and bus, exported by OTLP.

use std::{collections::HashMap, sync::Arc};

use frontdesk_proto::conversation::v1::{
    CloseConversationRequest, conversation_service_client::ConversationServiceClient,
};
use frontdesk_tests::{Account, Process, new_id, wait_for};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    metrics::v1::Metric,
    trace::v1::Span,
};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

/// What was exported to it.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    pub(crate) spans: Arc<Mutex<Vec<Span>>>,
    /// Those of each export.
    pub(crate) metrics: Arc<Mutex<Vec<Metric>>>,
}

impl Collector {
    /// Starts a collector; returns it with its endpoint.
    pub(crate) async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
        (collector, endpoint)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().await.extend(spans.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        self.metrics.lock().await.extend(scopes.flat_map(|scope| scope.metrics));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test]
async fn one_trace_runs_from_the_call_to_the_mail() {
    let (collector, endpoint) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[("FRONTDESK__TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "canary@visitor.example"), &channel).await;
    chat.say("CANARY-TEXT").await.unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = Request::new(CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() });
    request.metadata_mut().insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap());
    ConversationServiceClient::new(agent.clone()).close_conversation(request).await.unwrap();
    wait_for("the mail", || async { account.mails("canary@visitor.example").await.pop() }).await;

    let spans = wait_for("the spans", || async {
        let spans: Vec<Span> = collector.spans.lock().await.clone();
        let ours: Vec<Span> = spans.into_iter().filter(|span| hex(&span.trace_id) == trace).collect();
        ours.iter().any(|span| span.name.contains("deliver")).then_some(ours)
    })
    .await;
    let mut names: HashMap<String, usize> = HashMap::new();
    for span in &spans {
        *names.entry(span.name.clone()).or_default() += 1;
    }
    println!("{names:?}");
    assert!(
        names.contains_key("rpc") && names.contains_key("event.handle"),
        "the call and the events it caused: {names:?}"
    );
    let all = format!("{:?}", collector.spans.lock().await);
    assert!(!all.contains("CANARY") && !all.contains("canary@"), "no text and no address in a span");
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("CANARY") && !log.contains("canary@"), "no text and no address in the log");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
