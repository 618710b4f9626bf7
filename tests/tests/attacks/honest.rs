//! The honest caller: so many calls a second all the while, from an own thread, so that it waits for the server and not for
//! the attackers of this process.

use std::{
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use frontdesk_auth::Keys;
use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::Account;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
pub struct Seen {
    calls: Vec<Call>,
    /// Calls that were not answered as they should be. There must be none.
    pub failed: Vec<String>,
}

impl Honest {
    /// Begins to call.
    pub fn start(address: String, keys: Keys) -> Self {
        let stop = CancellationToken::new();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (stopped, seeing) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(call(&address, &keys, &stopped, &seeing));
        });
        Self { stop, thread, seen }
    }

    /// Stops, once every call has its answer.
    pub fn stop(self) -> Seen {
        self.stop.cancel();
        self.thread.join().unwrap();
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Seen {
    /// How long 99 of a hundred calls took at most that were due in these windows; and how many there were.
    pub fn p99(&self, windows: &[Window]) -> (Duration, usize) {
        let within = |call: &&Call| windows.iter().any(|(from, to)| (*from..*to).contains(&call.due));
        let mut took: Vec<Duration> = self.calls.iter().filter(within).map(|call| call.took).collect();
        took.sort_unstable();
        let place = (took.len() * 99).div_ceil(100).saturating_sub(1);
        (took.get(place).copied().unwrap_or_default(), took.len())
    }
}

async fn call(address: &str, keys: &Keys, stop: &CancellationToken, seen: &Arc<Mutex<Seen>>) {
    let first = Account::open(address, keys, Uuid::now_v7()).await;
    // One connection for all of them.
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| ChannelServiceClient::new(Account::on(first.channel.clone(), keys, Uuid::now_v7()).admin()))
        .collect();
    let mut running = JoinSet::new();
    let began = Instant::now();
    for number in 0.. {
        let due = began + EVERY * number;
        tokio::time::sleep_until(due.into()).await;
        if stop.is_cancelled() {
            break;
        }
        let (mut caller, seen) = (callers[number as usize % CALLERS].clone(), seen.clone());
        running.spawn(async move {
            let answer = caller.list_channels(ListChannelsRequest::default()).await;
            let mut seen = seen.lock().unwrap();
            // From when it was due: a server that stands still is not asked less.
            seen.calls.push(Call { due, took: due.elapsed() });
            seen.failed.extend(answer.err().map(|status| status.to_string()));
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
}
