//! The metrics of a process, on ops.listen and by OTLP, are those that docs/operations.md lists.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_proto::dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient};
use frontdesk_tests::{Account, Process, documented_metrics, new_id, wait_for};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::traces::Collector;

/// The answer of the operator's HTTP listener at this address; empty while it does not listen.
pub(crate) async fn get(address: &str, path: &str) -> String {
    let Ok(mut connection) = TcpStream::connect(address).await else { return String::new() };
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The metrics at this address, in the Prometheus text format.
pub(crate) async fn metrics(address: &str) -> String {
    get(address, "/metrics").await
}

/// The type of each metric.
fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The series of the metrics: the name, its labels as they are written, and the value.
fn series(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    let lines = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some((name, labels.trim_end_matches('}'), value.parse().ok()?))
    })
}

/// The sum of the series with this name and these labels.
fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let matching = series(text).filter(|(of, has, _)| *of == name && labels.iter().all(|label| has.contains(label)));
    matching.map(|(_, _, value)| value).sum()
}

/// The name that Prometheus gives a metric of OTLP.
fn prometheus_name(metric: &Metric) -> String {
    let unit = if metric.unit == "s" { "_seconds" } else { "" };
    let total = if matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic) { "_total" } else { "" };
    format!("{}{unit}{total}", metric.name.replace('.', "_"))
}

/// Name of the metric that only a process with certificates has.
const OF_CERTIFICATES: &str = "frontdesk_certificate_remaining_seconds";

#[tokio::test]
async fn i24_a_process_shows_and_exports_the_documented_metrics_and_no_other() {
    let (collector, endpoint) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ops = format!("127.0.0.1:{}", frontdesk_test_servers::free_port());
    let environment =
        [("FRONTDESK__OPS__LISTEN", ops.as_str()), ("FRONTDESK__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())];
    let process = Process::start(folder.path(), &environment).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(Some(&account.bot().await)).await;
    let chats = [account.idle_chat(&channel).await, account.idle_chat(&channel).await];
    let by = Some(prost_types::Duration { seconds: 31 * 60, nanos: 0 });
    ClockServiceClient::new(account.admin()).advance_time(AdvanceTimeRequest { by }).await.unwrap();
    for chat in &chats {
        Account::until_closed(&agent, &chat.id).await;
    }

    let address = ops.as_str();
    let text = wait_for("the lateness of the timeouts", || async move {
        let text = metrics(address).await;
        (sum(&text, "frontdesk_bot_session_timeout_lateness_seconds_count", &[]) >= 2.0).then_some(text)
    })
    .await;
    let (mut documented, types) = (documented_metrics(), types(&text));
    documented.retain(|metric| metric.name != OF_CERTIFICATES);
    let names: BTreeSet<&str> = documented.iter().map(|metric| metric.name.as_str()).collect();
    let found: BTreeSet<&str> = types.keys().copied().collect();
    assert_eq!(found, names, "left: of the process; right: in the table of docs/operations.md");
    for metric in &documented {
        assert_eq!(types[metric.name.as_str()], metric.kind, "the type of {}", metric.name);
        let of_metric = |name: &str| {
            let suffix = name.strip_prefix(metric.name.as_str());
            suffix.is_some_and(|suffix| ["", "_bucket", "_count", "_sum"].contains(&suffix))
        };
        let labels = series(&text).filter(|(name, ..)| of_metric(name)).flat_map(|(_, labels, _)| labels.split("\","));
        let labels: BTreeSet<&str> = labels.filter_map(|label| Some(label.split_once("=\"")?.0)).collect();
        let of_exporter = ["otel_scope_name", "le"];
        let unknown: Vec<_> =
            labels.iter().filter(|label| !of_exporter.contains(label) && !metric.labels.contains(**label)).collect();
        assert!(unknown.is_empty(), "{} has the labels {unknown:?}, which are not documented", metric.name);
    }

    let calls = |method: &str, code: &str| {
        let labels = [format!("/{method}\""), format!("rpc_response_status_code=\"{code}\"")];
        sum(&text, "rpc_server_call_duration_seconds_count", &[&labels[0], &labels[1]])
    };
    assert_eq!((calls("StartChat", "OK"), calls("AdvanceTime", "OK")), (2.0, 1.0), "{text}");
    // The code of the sender address; no person took part in the chats, so that nothing is mailed.
    assert_eq!(sum(&text, "frontdesk_mail_attempts_total", &["outcome=\"accepted\""]), 1.0, "{text}");
    assert_eq!(sum(&text, "frontdesk_mail_deliveries_total", &["status=\"SENT\""]), 1.0, "{text}");

    let of_prometheus = BTreeSet::from(["target_info"]);
    let expected: BTreeSet<&str> = names.difference(&of_prometheus).copied().collect();
    let exported = wait_for("an export of every metric", || async {
        let exported: BTreeSet<String> = collector.metrics.lock().await.iter().map(prometheus_name).collect();
        expected.iter().all(|name| exported.contains(*name)).then_some(exported)
    })
    .await;
    assert_eq!(exported.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}
