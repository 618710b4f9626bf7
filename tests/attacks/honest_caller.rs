//! The honest caller: calls at a fixed rate from a thread of its own, so that it waits for the server and not for the attackers in
//! this process.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::{Account, new_id};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Interval between two calls.
const INTERVAL: Duration = Duration::from_millis(10);
/// Number of accounts that the calls are spread over, so that none reaches its rate limit.
const CALLERS: usize = 20;

/// A period of time.
pub type Window = (Instant, Instant);

struct Call {
    due: Instant,
    took: Duration,
}

pub struct HonestCaller {
    stop: CancellationToken,
    thread: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

/// Results of the calls.
#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    /// Calls without a response so far, by the time when they were due.
    open: BTreeSet<Instant>,
    /// Errors of calls. There must be none.
    failed: Vec<String>,
}

impl HonestCaller {
    /// Starts to call.
    pub fn start(address: String, keys: DevelopmentKey) -> Self {
        let stop = CancellationToken::new();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (stopped, seeing) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(call(&address, &keys, &stopped, &seeing));
        });
        Self { stop, thread, seen }
    }

    /// The 99th percentile of the latency of calls that were due in these windows, and their number. Waits for their responses.
    pub async fn p99(&self, windows: &[Window]) -> (Duration, usize) {
        let last = windows.iter().map(|(_, to)| *to).max().unwrap();
        while self.seen.lock().unwrap().open.first().is_some_and(|due| *due < last) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let within = |call: &&Call| windows.iter().any(|(from, to)| (*from..*to).contains(&call.due));
        let seen = self.seen.lock().unwrap();
        let mut took: Vec<Duration> = seen.calls.iter().filter(within).map(|call| call.took).collect();
        took.sort_unstable();
        let place = (took.len() * 99).div_ceil(100).saturating_sub(1);
        (took.get(place).copied().unwrap_or_default(), took.len())
    }

    /// Stops after the last response; returns the errors.
    pub fn stop(self) -> Vec<String> {
        self.stop.cancel();
        self.thread.join().unwrap();
        std::mem::take(&mut self.seen.lock().unwrap().failed)
    }
}

async fn call(address: &str, keys: &DevelopmentKey, stop: &CancellationToken, seen: &Arc<Mutex<Seen>>) {
    let first = Account::open(address, keys, new_id()).await;
    // One connection for all accounts.
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| ChannelServiceClient::new(Account::on(first.channel.clone(), keys, new_id()).admin()))
        .collect();
    let mut running = JoinSet::new();
    let began = Instant::now();
    for number in 0.. {
        let due = began + INTERVAL * number;
        tokio::time::sleep_until(due.into()).await;
        if stop.is_cancelled() {
            break;
        }
        seen.lock().unwrap().open.insert(due);
        let (mut caller, seen) = (callers[number as usize % CALLERS].clone(), seen.clone());
        running.spawn(async move {
            let answer = caller.list_channels(ListChannelsRequest::default()).await;
            let mut seen = seen.lock().unwrap();
            // Measured from the time when it was due, so that calls delayed by a stalled server count.
            seen.open.remove(&due);
            seen.calls.push(Call { due, took: due.elapsed() });
            seen.failed.extend(answer.err().map(|status| status.to_string()));
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
}
