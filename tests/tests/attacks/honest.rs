//! The honest caller: so many calls a second all the while, from an own thread, so that it waits for the server and not for
//! the attackers of this process.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use frontdesk_auth::DevelopmentKey;
use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::Account;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_millis(10);
/// The calls are spread over so many callers: nobody's own limit is reached.
const CALLERS: usize = 20;

/// A stretch of time.
pub type Window = (Instant, Instant);

struct Call {
    due: Instant,
    took: Duration,
}

pub struct Honest {
    stop: CancellationToken,
    thread: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

/// What came of the calls.
#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    /// Calls without an answer so far, by when they were due.
    open: BTreeSet<Instant>,
    /// Calls that were not answered as they should be. There must be none.
    failed: Vec<String>,
}

impl Honest {
    /// Begins to call.
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

    /// How long 99 of a hundred calls took at most that were due in these windows, and how many there were; once all of them
    /// have their answer.
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

    /// Stops, once every call has its answer; gives those that were not answered as they should be.
    pub fn stop(self) -> Vec<String> {
        self.stop.cancel();
        self.thread.join().unwrap();
        std::mem::take(&mut self.seen.lock().unwrap().failed)
    }
}

async fn call(address: &str, keys: &DevelopmentKey, stop: &CancellationToken, seen: &Arc<Mutex<Seen>>) {
    let first = Account::open(address, keys, frontdesk_clock::testing::new_id()).await;
    // One connection for all of them.
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            ChannelServiceClient::new(
                Account::on(first.channel.clone(), keys, frontdesk_clock::testing::new_id()).admin(),
            )
        })
        .collect();
    let mut running = JoinSet::new();
    let began = Instant::now();
    for number in 0.. {
        let due = began + EVERY * number;
        tokio::time::sleep_until(due.into()).await;
        if stop.is_cancelled() {
            break;
        }
        seen.lock().unwrap().open.insert(due);
        let (mut caller, seen) = (callers[number as usize % CALLERS].clone(), seen.clone());
        running.spawn(async move {
            let answer = caller.list_channels(ListChannelsRequest::default()).await;
            let mut seen = seen.lock().unwrap();
            // From when it was due: a server that stands still is not asked less.
            seen.open.remove(&due);
            seen.calls.push(Call { due, took: due.elapsed() });
            seen.failed.extend(answer.err().map(|status| status.to_string()));
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
}
