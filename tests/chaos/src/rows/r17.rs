//! R17: four times the load that it can carry.
//!
//! The peak is what 256 callers get who each wait for their answer. Then four times as many callers come; who is refused comes
//! again when they are told to, as callers do who read what they are told. The crowd, the proxies of this harness and the databases share
//! the cores with what is tormented: what the crowd takes of them, and how late it is itself, is told and not taken off. The
//! figures mean something in release only: a debug build refuses no faster than a release build works.

use std::time::Duration;

use futures::StreamExt;
use tokio::task::LocalSet;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    crowd::{Call, Crowd, Ended},
    driver::Driver,
    report::percentile,
    workload::Shop,
};

/// As many as get the most out of it on two cores.
const CALLERS: usize = 256;
const TIMES: usize = 4;
/// Connections, plans and caches are warm after so long.
const WARM: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_millis(500);
/// So many windows in a row must be as usual.
const CALM: usize = 3;
/// As usual: at most twice as slow; what is faster than this need not be told apart on two cores.
const NOISE_MS: f64 = 20.0;
const GOODPUT: f64 = 0.9;
const REFUSED_WITHIN_MS: f64 = 50.0;
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// A stretch of the load, on the driver's clock, and what the crowd's thread took of a core meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    from: u64,
    to: u64,
    busy: f64,
}

struct Played {
    calls: Vec<Call>,
    peak: Stretch,
    half: Stretch,
    over: Stretch,
    after: Stretch,
    /// Calls a second at the peak.
    carried: f64,
}

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let chats = chats(&driver, &shop, stage.size.pick(50, 200, 1_000)).await?;
    let addresses: Vec<String> =
        stage.cluster.replicas_of(Service::Conversation).map(|one| format!("127.0.0.1:{}", one.port)).collect();
    let lengths = [stage.size.pick(3, 10, 10), stage.size.pick(5, 20, 60), stage.size.pick(8, 10, 10)];
    let played = tokio::task::spawn_blocking(move || play(&driver, &shop, &addresses, chats, lengths)).await??;
    // The outbox of as many messages takes its time.
    let patience = Duration::from_secs(stage.size.pick(150, 300, 900));
    let (verdict, _) = stage.end(Ending { patience, ..Ending::default() }).await?;
    Ok((judge(&played, &verdict), verdict))
}

/// Conversations of nobody, in which every agent may write.
async fn chats(driver: &Driver, shop: &Shop, count: usize) -> Result<Vec<String>, Failure> {
    let starting = (0..count).map(|number| async move {
        let visitor = shop.visitor(&format!("o{number}"), false);
        driver.start_chat(&visitor, &shop.with_nobody, "").await.ok()
    });
    let started: Vec<_> = futures::stream::iter(starting).buffer_unordered(16).collect().await;
    Ok(started.into_iter().collect::<Option<Vec<String>>>().ok_or("no chat was started")?)
}

/// The whole load, on this thread.
fn play(
    driver: &Driver,
    shop: &Shop,
    addresses: &[String],
    chats: Vec<String>,
    [peak, over, calm]: [u64; 3],
) -> Result<Played, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agent = &shop.agents[0];
    let recorder = driver.recorder.clone();
    LocalSet::new().block_on(&runtime, async {
        let crowd = Crowd::gather(agent, addresses, chats, &shop.canary, recorder.clone());
        tokio::time::sleep(Duration::from_millis(200)).await;
        crowd.patient(CALLERS, WARM).await;
        let begin = || (recorder.now(), busy());
        let end = |(from, before): (u64, f64)| Stretch { from, to: recorder.now(), busy: busy() - before };

        let began = begin();
        let carried = crowd.patient(CALLERS, Duration::from_secs(peak)).await;
        let peak = end(began);
        let carried = carried as f64 / peak.seconds();
        let began = begin();
        crowd.impatient(carried / 2.0, Duration::from_secs(calm) / 2).await;
        let half = end(began);
        let began = begin();
        crowd.obedient(CALLERS * TIMES, Duration::from_secs(over)).await;
        let over = end(began);
        // Half of what it carries, at once: what was left unanswered is still in its way.
        let began = begin();
        crowd.impatient(carried / 2.0, Duration::from_secs(calm)).await;
        let after = end(began);
        let calls = crowd.calls().await;
        crowd.tell(driver, agent, &calls);
        Ok(Played { calls, peak, half, over, after, carried })
    })
}

impl Stretch {
    fn seconds(self) -> f64 {
        (self.to - self.from) as f64 / 1e9
    }
}

impl Played {
    /// The calls that were due in a stretch.
    fn due(&self, from: u64, to: u64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| (from..to).contains(&call.due))
    }

    /// How slow 99 of a hundred acknowledged ones were at most; a window with a call that was not acknowledged is not usual.
    fn p99(&self, from: u64, to: u64) -> f64 {
        let mut took: Vec<f64> =
            self.due(from, to).map(|call| if call.is_good() { call.took_ms() } else { f64::INFINITY }).collect();
        percentile(&mut took, 99.0)
    }

    /// Seconds from the end of the overload until it was as usual, and stayed so for some windows.
    fn back_after(&self, usual: f64) -> Option<f64> {
        let window = u64::try_from(WINDOW.as_nanos()).ok()?;
        let count = (self.after.to - self.after.from) / window;
        let limit = (usual * 2.0).max(usual + NOISE_MS);
        let windows: Vec<bool> = (0..count)
            .map(|number| self.after.from + number * window)
            .map(|from| self.p99(from, from + window) <= limit)
            .collect();
        let first = windows.windows(CALM).position(|some| some.iter().all(|usual| *usual))?;
        Some(first as f64 * WINDOW.as_secs_f64())
    }
}

fn judge(played: &Played, verdict: &Verdict) -> Row {
    let over = played.over;
    // What was acknowledged in that time, also of calls from before it, is what it carried.
    let good = played.calls.iter().filter(|call| call.is_good() && (over.from..over.to).contains(&call.ended_at));
    let goodput = good.count() as f64 / over.seconds() / played.carried;
    let offered: Vec<&Call> = played.due(over.from, over.to).collect();
    let mut refused: Vec<f64> = offered
        .iter()
        .filter(|call| matches!(call.ended, Ended::Refused { .. }))
        .map(|call| call.answered_ms())
        .collect();
    let unexplained = count(&played.calls, |ended| matches!(ended, Ended::Refused { again_after: None }));
    let internal = count(&played.calls, |ended| matches!(ended, Ended::Other(status) if is_ours(status)));
    let refused_p99 = percentile(&mut refused, 99.0);
    let mut late: Vec<f64> = offered.iter().map(|call| call.made_late_ms()).collect();
    let usual = played.p99(played.half.from, played.half.to);
    let back = played.back_after(usual);
    let holds = goodput >= GOODPUT
        && usual.is_finite()
        && !refused.is_empty()
        && refused_p99 <= REFUSED_WITHIN_MS
        && unexplained == 0
        && internal == 0
        && verdict.of(&["I1", "I2", "I4"]) == 0
        && back.is_some_and(|back| back <= BACK_WITHIN.as_secs_f64());
    let mut row = Row::new(goodput, holds)
        .with("unit", "acknowledged in time, as a share of the peak")
        .with("peak_per_second", played.carried)
        .with("offered_per_second", offered.len() as f64 / over.seconds())
        .with("offered_times_peak", offered.len() as f64 / over.seconds() / played.carried)
        .with("refused", refused.len())
        .with("refused_p99_ms", refused_p99)
        .with("refused_unexplained", unexplained)
        .with("internal", internal)
        .with("p99_ms_at_half_the_peak", usual)
        .with("back_after_seconds", back)
        .with("crowd_late_p99_ms", percentile(&mut late, 99.0))
        .with("crowd_of_one_core_at_peak", played.peak.busy / played.peak.seconds())
        .with("crowd_of_one_core_overloaded", over.busy / over.seconds());
    for (what, number) in others(&offered) {
        row = row.with(&format!("ended_{what}"), number);
    }
    row
}

fn count(calls: &[Call], what: impl Fn(&Ended) -> bool) -> usize {
    calls.iter().filter(|call| what(&call.ended)).count()
}

fn is_ours(status: &tonic::Status) -> bool {
    matches!(status.code(), tonic::Code::Internal | tonic::Code::Unknown | tonic::Code::DataLoss)
}

/// How the offered calls ended that were not refused, by what was said.
fn others(offered: &[&Call]) -> std::collections::BTreeMap<String, usize> {
    let mut all = std::collections::BTreeMap::new();
    for call in offered {
        let what = match &call.ended {
            Ended::Ok(_) if call.is_good() => "ok".to_owned(),
            Ended::Ok(_) => "ok_too_late".to_owned(),
            Ended::Refused { .. } => continue,
            Ended::Other(status) => format!("{:?}", status.code()),
            Ended::Lost => "lost".to_owned(),
        };
        *all.entry(what).or_default() += 1;
    }
    all
}

/// Processor time of this thread so far, in seconds.
fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // After the name, which may hold anything, the 12th and 13th field are hundredths of seconds.
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
