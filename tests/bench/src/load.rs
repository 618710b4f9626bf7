//! Load: closed (so many in flight, each the next as soon as it is answered) and open (at a fixed rate, whatever comes back).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use crate::{messages::Messages, raw::Client};

/// What a load saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// When it began until the last answer.
    pub took: Duration,
    /// How long each call took; in nanoseconds, sorted.
    latencies: Vec<u64>,
}

impl Seen {
    /// From latencies in any order.
    pub fn new(took: Duration, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { took, latencies }
    }

    /// So many calls were answered.
    pub fn calls(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.calls() / self.took.as_secs_f64()
    }

    /// So many thousandths of the calls took at most so long, in milliseconds.
    pub fn latency(&self, thousandths: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * thousandths).div_ceil(1_000).saturating_sub(1).min(last);
        let nanoseconds = self.latencies.get(at).copied().unwrap_or_default();
        Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
    }
}

/// Nanoseconds since then.
pub fn since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Posts with so many in flight for so long.
///
/// # Panics
/// When a call fails: a rate of failures says nothing.
pub async fn closed(client: &Client, messages: &Arc<Messages>, in_flight: usize, length: Duration) -> Seen {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..in_flight {
        let (mut connection, messages) = (client.connection(worker), messages.clone());
        workers.spawn(async move {
            let mut latencies = Vec::with_capacity(1 << 16);
            while began.elapsed() < length {
                let (_, message) = messages.next();
                let sent = Instant::now();
                connection.post(message).await.unwrap();
                latencies.push(since(sent));
            }
            latencies
        });
    }
    let latencies = workers.join_all().await.concat();
    Seen::new(began.elapsed(), latencies)
}

/// Calls `call` at a fixed rate for so long; it is told when each was due, which is where its latency begins. A thread keeps
/// the time: the runtime's own timer is a millisecond too coarse.
///
/// # Panics
/// When a call fails.
pub async fn open<F>(rate: f64, length: Duration, call: impl Fn(u64, Instant) -> F + Send + 'static) -> Seen
where
    F: Future<Output = ()> + Send + 'static,
{
    const TICK: Duration = Duration::from_millis(1);
    let (send, mut receive) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let began = Instant::now();
    let clock = std::thread::spawn(move || {
        let (mut ticks, mut called) = (0_u32, 0_u64);
        while TICK * ticks < length {
            let due = began + TICK * ticks;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            while (called as f64) < rate * (TICK * (ticks + 1)).as_secs_f64() {
                let (answer, send) = (call(called, due), send.clone());
                runtime.spawn(async move {
                    answer.await;
                    let _ = send.send(since(due));
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
    let called = clock.join().unwrap();
    assert_eq!(latencies.len() as u64, called, "every call is answered");
    Seen::new(began.elapsed(), latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_call_that_so_many_were_not_slower_than() {
        let seen = Seen::new(Duration::from_secs(2), (1..=100).map(|number| number * 1_000_000).collect());
        assert_eq!((seen.latency(500), seen.latency(990), seen.latency(1_000)), (50.0, 99.0, 100.0));
        assert_eq!(seen.rate(), 50.0);
    }
}
