//! R17: four times the load that the installation can serve.
//!
//! The peak is the throughput of 256 callers in a closed loop. Then four times as many callers come, and each waits for the retry
//! delay of a refusal before its next call. The load generator, the proxies and the databases share the processors with the
//! servers under test; how much of a processor the load generator uses, and how late it sends its calls, is reported and not
//! subtracted. The figures are meaningful for release builds only: a debug build refuses calls no faster than a release build
//! serves them.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use tokio::task::LocalSet;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::{Replica, Service},
    driver::Driver,
    load_generator::{Call, CallOutcome, LoadGenerator},
    report::percentile,
    workload::Account,
};

/// Number of callers that reach the peak on two cores.
const PEAK_CALLERS: usize = 256;
/// Number of callers in overload, as a multiple of those at the peak.
const OVERLOAD: usize = 4;
/// Time to warm up connections, query plans and caches before the measurement.
const WARM_UP: Duration = Duration::from_secs(1);
/// Length of the windows over which latencies are compared after the overload.
const WINDOW: Duration = Duration::from_millis(500);
/// Number of consecutive windows with the usual latency after which the installation counts as recovered.
const RECOVERED_WINDOWS: usize = 3;
/// Difference of latencies in milliseconds that is noise on two cores.
const NOISE_MS: f64 = 20.0;
/// Minimum throughput in overload, as a share of the peak.
const MIN_GOODPUT: f64 = 0.9;
/// Maximum 99th percentile of the time until a refusal, in milliseconds.
const MAX_REFUSAL_MS: f64 = 50.0;
/// Maximum time until the installation has recovered.
const MAX_RECOVERY: Duration = Duration::from_secs(5);

/// A phase of the load. Times are nanoseconds of the driver's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    from: u64,
    to: u64,
    /// Processor time of the load generator's thread, in seconds.
    processor_seconds: f64,
}

/// All calls, and the phases that they were made in.
struct LoadResult {
    calls: Vec<Call>,
    peak: Phase,
    half: Phase,
    overload: Phase,
    after: Phase,
    /// Throughput at the peak, in calls per second.
    peak_rate: f64,
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let chats = start_chats(&driver, &account, context.size.pick(50, 200, 1_000)).await?;
    let addresses: Vec<String> = context.cluster.replicas_of(Service::Conversation).map(Replica::address).collect();
    let seconds = [context.size.pick(3, 10, 10), context.size.pick(5, 20, 60), context.size.pick(8, 10, 10)];
    let load = tokio::task::spawn_blocking(move || run_load(&driver, &account, &addresses, chats, seconds)).await??;
    // The outbox must drain the events of all acknowledged messages.
    let timeout = Duration::from_secs(context.size.pick(150, 300, 900));
    let (verdict, _) = context.finish(FinishOptions { timeout, ..FinishOptions::default() }).await?;
    Ok((judge(&load, &verdict), verdict))
}

/// Starts unassigned conversations, in which every agent may post.
async fn start_chats(driver: &Driver, account: &Account, count: usize) -> Result<Vec<String>, Failure> {
    let starting = (0..count).map(|number| async move {
        let visitor = account.visitor(&format!("o{number}"), false);
        driver.start_chat(&visitor, &account.plain_channel, "").await.ok()
    });
    let started: Vec<_> = futures::stream::iter(starting).buffer_unordered(16).collect().await;
    Ok(started.into_iter().collect::<Option<Vec<String>>>().ok_or("no chat could be started")?)
}

/// Runs all phases of the load on this thread.
fn run_load(
    driver: &Driver,
    account: &Account,
    addresses: &[String],
    chats: Vec<String>,
    [peak, overload, after]: [u64; 3],
) -> Result<LoadResult, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agent = &account.agents[0];
    let recorder = driver.recorder.clone();
    LocalSet::new().block_on(&runtime, async {
        let generator = LoadGenerator::new(agent, addresses, chats, &account.canary, recorder.clone()).await?;
        generator.closed_loop(PEAK_CALLERS, WARM_UP).await;
        let begin = || (recorder.now(), processor_seconds());
        let end = |(from, before): (u64, f64)| {
            let (to, processor_seconds) = (recorder.now(), processor_seconds() - before);
            Phase { from, to, processor_seconds }
        };

        let began = begin();
        let acknowledged = generator.closed_loop(PEAK_CALLERS, Duration::from_secs(peak)).await;
        let peak = end(began);
        let peak_rate = acknowledged as f64 / peak.seconds();
        let began = begin();
        generator.open_loop(peak_rate / 2.0, Duration::from_secs(after) / 2).await;
        let half = end(began);
        let began = begin();
        generator.closed_loop_with_retry_delay(PEAK_CALLERS * OVERLOAD, Duration::from_secs(overload)).await;
        // Without the time in which the callers that wait for a retry delay end.
        let overload = Phase { to: began.0 + overload * 1_000_000_000, ..end(began) };
        // Half of the peak rate without a pause, so that calls queue behind those of the overload.
        let began = begin();
        generator.open_loop(peak_rate / 2.0, Duration::from_secs(after)).await;
        let after = end(began);
        let calls = generator.calls().await;
        generator.write_history(driver, agent, &calls);
        Ok(LoadResult { calls, peak, half, overload, after, peak_rate })
    })
}

impl Phase {
    fn seconds(self) -> f64 {
        (self.to - self.from) as f64 / 1e9
    }

    /// Share of one processor that the load generator used.
    fn processor_share(self) -> f64 {
        self.processor_seconds / self.seconds()
    }
}

impl LoadResult {
    /// The calls that were due between two times.
    fn due(&self, from: u64, to: u64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| (from..to).contains(&call.due))
    }

    /// The 99th percentile of the latency in milliseconds. A call that was not acknowledged counts as infinitely slow.
    fn p99(&self, from: u64, to: u64) -> f64 {
        let latency = |call: &Call| if call.is_acknowledged_in_time() { call.latency_ms() } else { f64::INFINITY };
        let mut latencies: Vec<f64> = self.due(from, to).map(latency).collect();
        percentile(&mut latencies, 99.0)
    }

    /// The 99th percentile of the latency in each window of a phase, in milliseconds.
    fn p99_of_windows(&self, phase: Phase) -> Vec<f64> {
        let window = WINDOW.as_nanos() as u64;
        let windows = (0..(phase.to - phase.from) / window).map(|number| phase.from + number * window);
        windows.map(|from| self.p99(from, from + window)).collect()
    }

    /// Seconds from the end of the overload until the latency was no worse than before it, at the same rate, for
    /// [`RECOVERED_WINDOWS`] windows.
    fn recovered_after(&self) -> Option<f64> {
        let usual = self.p99_of_windows(self.half).into_iter().fold(0.0, f64::max);
        let as_usual: Vec<bool> =
            self.p99_of_windows(self.after).into_iter().map(|p99| p99 <= usual + NOISE_MS).collect();
        let first = as_usual.windows(RECOVERED_WINDOWS).position(|windows| windows.iter().all(|usual| *usual))?;
        Some(first as f64 * WINDOW.as_secs_f64())
    }

    fn count(&self, matches: impl Fn(&CallOutcome) -> bool) -> usize {
        self.calls.iter().filter(|call| matches(&call.outcome)).count()
    }
}

fn judge(load: &LoadResult, verdict: &Verdict) -> Row {
    let overload = load.overload;
    // All calls that were acknowledged during the overload, also those that were sent before it.
    let acknowledged = load
        .calls
        .iter()
        .filter(|call| call.is_acknowledged_in_time() && (overload.from..overload.to).contains(&call.ended_at));
    let goodput = acknowledged.count() as f64 / overload.seconds() / load.peak_rate;
    let offered: Vec<&Call> = load.due(overload.from, overload.to).collect();
    let mut refusals: Vec<f64> = offered
        .iter()
        .filter(|call| matches!(call.outcome, CallOutcome::Refused { .. }))
        .map(|call| call.response_time_ms())
        .collect();
    let unexplained = load.count(|outcome| matches!(outcome, CallOutcome::Refused { retry_delay: None }));
    let internal = load.count(|outcome| matches!(outcome, CallOutcome::Failed(status) if is_internal(status)));
    let refusal_p99 = percentile(&mut refusals, 99.0);
    let mut send_delays: Vec<f64> = offered.iter().map(|call| call.send_delay_ms()).collect();
    let usual = load.p99(load.half.from, load.half.to);
    let recovered = load.recovered_after();
    let pass = goodput >= MIN_GOODPUT
        && usual.is_finite()
        && !refusals.is_empty()
        && refusal_p99 <= MAX_REFUSAL_MS
        && unexplained == 0
        && internal == 0
        && verdict.of(&["I1", "I2", "I4"]) == 0
        && recovered.is_some_and(|seconds| seconds <= MAX_RECOVERY.as_secs_f64());
    let mut row = Row::new(goodput, pass)
        .with("unit", "acknowledged in time, as a share of the peak")
        .with("peak_per_second", load.peak_rate)
        .with("offered_per_second", offered.len() as f64 / overload.seconds())
        .with("offered_times_peak", offered.len() as f64 / overload.seconds() / load.peak_rate)
        .with("refused", refusals.len())
        .with("refused_p99_ms", refusal_p99)
        .with("refused_unexplained", unexplained)
        .with("internal", internal)
        .with("p99_ms_at_half_the_peak", usual)
        .with("recovered_after_seconds", recovered)
        .with("generator_send_delay_p99_ms", percentile(&mut send_delays, 99.0))
        .with("generator_share_of_one_core_at_peak", load.peak.processor_share())
        .with("generator_share_of_one_core_in_overload", overload.processor_share());
    for (outcome, number) in other_outcomes(&offered) {
        row = row.with(&format!("ended_{outcome}"), number);
    }
    row
}

fn is_internal(status: &tonic::Status) -> bool {
    matches!(status.code(), tonic::Code::Internal | tonic::Code::Unknown | tonic::Code::DataLoss)
}

/// Number of calls by outcome, without the refusals.
fn other_outcomes(calls: &[&Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        let outcome = match &call.outcome {
            CallOutcome::Acknowledged(_) if call.is_acknowledged_in_time() => "ok".to_owned(),
            CallOutcome::Acknowledged(_) => "ok_too_late".to_owned(),
            CallOutcome::Refused { .. } => continue,
            CallOutcome::Failed(status) => format!("{:?}", status.code()),
            CallOutcome::Lost => "lost".to_owned(),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

/// Processor time of this thread so far, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The second field is the name in brackets, which may contain spaces. The 12th and 13th field after it are the user and
    // system time in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
