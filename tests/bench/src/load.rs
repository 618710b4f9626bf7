//! Load: a closed loop with a fixed number of calls in flight, and an open loop with a fixed rate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use frontdesk_bench::{messages::Messages, raw::Client};

/// The result of a load.
#[derive(Debug, Default)]
pub struct LoadResult {
    /// Time from the start to the last response.
    pub duration: Duration,
    /// Latency of each call in nanoseconds, sorted.
    latencies: Vec<u64>,
}

impl LoadResult {
    /// A result with latencies in any order.
    pub fn new(duration: Duration, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { duration, latencies }
    }

    /// Number of calls.
    pub fn calls(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.calls() / self.duration.as_secs_f64()
    }

    /// A percentile of the latency, in milliseconds. The percentile is given in thousandths: 990 is the 99th percentile.
    pub fn latency(&self, thousandths: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let rank = (self.latencies.len() * thousandths).div_ceil(1_000).saturating_sub(1).min(last);
        let nanoseconds = self.latencies.get(rank).copied().unwrap_or_default();
        Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
    }
}

/// Nanoseconds since an instant.
pub fn nanoseconds_since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Posts messages for `duration`, with `in_flight` calls at a time.
///
/// # Panics
/// If a call fails: the rate of failed calls is no result.
pub async fn closed_loop(
    client: &Client,
    messages: &Arc<Messages>,
    in_flight: usize,
    duration: Duration,
) -> LoadResult {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..in_flight {
        let (mut connection, messages) = (client.connection(worker), messages.clone());
        workers.spawn(async move {
            let mut latencies = Vec::with_capacity(1 << 16);
            while began.elapsed() < duration {
                let (_, message) = messages.next();
                let sent = Instant::now();
                connection.post(message).await.unwrap();
                latencies.push(nanoseconds_since(sent));
            }
            latencies
        });
    }
    let latencies = workers.join_all().await.concat();
    LoadResult::new(began.elapsed(), latencies)
}

/// Calls `call` at a fixed rate per second for `duration`, with the number of the call and the instant at which it is due, from
/// which its latency is measured. The calls are started by a thread, because the timer of the runtime has a resolution of a
/// millisecond only.
///
/// # Panics
/// If a call fails.
pub async fn open_loop<F>(
    rate: f64,
    duration: Duration,
    call: impl Fn(u64, Instant) -> F + Send + 'static,
) -> LoadResult
where
    F: Future<Output = ()> + Send + 'static,
{
    const TICK: Duration = Duration::from_millis(1);
    let (send, mut receive) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let began = Instant::now();
    let timer = std::thread::spawn(move || {
        let (mut ticks, mut called) = (0_u32, 0_u64);
        while TICK * ticks < duration {
            let due = began + TICK * ticks;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            while (called as f64) < rate * (TICK * (ticks + 1)).as_secs_f64() {
                let (response, send) = (call(called, due), send.clone());
                runtime.spawn(async move {
                    response.await;
                    let _ = send.send(nanoseconds_since(due));
                });
                called += 1;
            }
            ticks += 1;
        }
        called
    });
    let mut latencies = Vec::new();
    while let Some(latency) = receive.recv().await {
        latencies.push(latency);
    }
    let called = timer.join().unwrap();
    assert_eq!(latencies.len() as u64, called, "every call is answered");
    LoadResult::new(began.elapsed(), latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_latency_of_the_call_with_the_nearest_rank() {
        let result = LoadResult::new(Duration::from_secs(2), (1..=100).map(|number| number * 1_000_000).collect());
        assert_eq!((result.latency(500), result.latency(990), result.latency(1_000)), (50.0, 99.0, 100.0));
        assert_eq!(result.rate(), 50.0);
    }
}
