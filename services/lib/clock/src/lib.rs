//! Time and ids: the only place that asks the machine for the time, and the only source of new ids.
//!
//! A [`Clock`] can be moved forward, by tests and by the development rpc `AdvanceTime`. Code that waits for a moment waits
//! through it, so that a test can try a 30-minute timeout in milliseconds. A [`Time`] has microseconds, the precision that
//! both databases keep. [`Clock::new_id`] makes the ids of new rows and events.
//!
//! The module [`development`] keeps the offset of a moved clock in a file; production never uses it. The module [`testing`]
//! makes ids where there is no clock. [`Clock::standing`] is a clock for simulations.

pub mod development;
mod id;
mod standing;
pub mod testing;
mod time;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

pub use self::standing::StandingTask;
use self::{development::OffsetFile, id::IdGenerator, standing::Standing};

pub use self::time::Time;

/// A clock that can be moved forward. Clones show the same time and draw their ids from the same sequence.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    offset: watch::Sender<Duration>,
    ids: Mutex<IdGenerator>,
    /// Microseconds by which this clock is wrong; not 0 in tests only.
    skew: i64,
    /// Where the offset is kept; development only.
    file: Option<OffsetFile>,
    /// Simulations only. None: the clock shows the machine's time.
    standing: Option<Standing>,
}

impl Clock {
    /// The machine's time.
    pub fn system() -> Self {
        Self::new(IdGenerator::from_os(), Duration::ZERO, 0, None)
    }

    /// The machine's time, with ids whose random part follows from `seed`: two clocks with the same seed give the same
    /// random parts. For tests.
    pub fn seeded(seed: u64) -> Self {
        Self::new(IdGenerator::from_seed(seed), Duration::ZERO, 0, None)
    }

    fn new(ids: IdGenerator, offset: Duration, skew: i64, file: Option<OffsetFile>) -> Self {
        Self(Arc::new(Inner { offset: watch::Sender::new(offset), ids: Mutex::new(ids), skew, file, standing: None }))
    }

    /// What the clock shows.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Time {
        let time = match &self.0.standing {
            Some(standing) => standing.at,
            None => Time(chrono::Utc::now().timestamp_micros() + self.0.skew),
        };
        time.plus(self.offset())
    }

    /// A new id: a UUIDv7 of the time that the clock shows. The ids of a clock strictly increase, also within a millisecond
    /// and when the machine's clock is set back; each has at least 73 random bits, so that ids of other processes, and of
    /// this one after a restart, differ.
    pub fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.now().0 / 1_000).unwrap_or(0);
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).next_id(millis)
    }

    /// How far the clock was moved forward.
    pub fn offset(&self) -> Duration {
        *self.0.offset.borrow()
    }

    /// Moves the clock forward and wakes everything that waits for a moment. Fails only when the offset is kept in a file
    /// ([`development`]) that cannot be written.
    pub fn advance(&self, by: Duration) -> std::io::Result<Time> {
        match &self.0.file {
            Some(file) => {
                let moved = file.advance(by, self.offset())?;
                self.raise_offset(moved);
            }
            None => self.0.offset.send_modify(|offset| *offset += by),
        }
        Ok(self.now())
    }

    /// Moves the clock forward until its offset is `offset`; does nothing when it was already moved that far.
    fn raise_offset(&self, offset: Duration) {
        self.0.offset.send_if_modified(|current| {
            let later = offset > *current;
            *current = offset.max(*current);
            later
        });
    }

    /// Waits until the clock shows `moment` or later.
    pub async fn sleep_until(&self, moment: Time) {
        let mut moved = self.0.offset.subscribe();
        loop {
            let wait = moment.since(self.now());
            if wait.is_zero() {
                return;
            }
            self.wait(wait, &mut moved).await;
        }
    }

    /// Waits for `time`, less what this clock is moved forward meanwhile. Setting the machine's clock has no effect.
    pub async fn sleep(&self, time: Duration) {
        if self.0.standing.is_some() {
            return self.sleep_until(self.now().plus(time)).await;
        }
        let mut moved = self.0.offset.subscribe();
        let (began, offset) = (tokio::time::Instant::now(), self.offset());
        loop {
            let wait = time.saturating_sub(began.elapsed()).saturating_sub(self.offset().saturating_sub(offset));
            if wait.is_zero() {
                return;
            }
            self.wait(wait, &mut moved).await;
        }
    }

    /// Waits until the clock is moved, or for `time` unless the clock stands.
    async fn wait(&self, time: Duration, moved: &mut watch::Receiver<Duration>) {
        match &self.0.standing {
            Some(standing) => standing.wait(moved).await,
            None => tokio::select! {
                () = tokio::time::sleep(time) => {}
                _ = moved.changed() => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn advancing_the_clock_ends_a_sleep_until_a_later_moment() {
        let clock = Clock::system();
        let late = clock.now().plus(Duration::from_secs(3600));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(late).await }
        });
        clock.advance(Duration::from_secs(3601)).unwrap();
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        assert!(clock.now() >= late);
    }

    #[tokio::test]
    async fn advancing_the_clock_shortens_a_sleep() {
        let clock = Clock::system();
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3600)).unwrap();
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    #[test]
    fn ids_increase_and_differ_also_when_the_clock_is_moved() {
        let clock = Clock::system();
        let mut ids: Vec<Uuid> = (0..10_000).map(|_| clock.new_id()).collect();
        clock.advance(Duration::from_secs(86_400)).unwrap();
        ids.extend((0..10_000).map(|_| clock.new_id()));
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let seconds = |id: &Uuid| id.get_timestamp().unwrap().to_unix().0;
        assert_eq!((seconds(&ids[19_999]) - seconds(&ids[0])) / 86_400, 1, "an id has the time that the clock shows");
    }

    #[test]
    fn two_clocks_with_the_same_seed_give_the_same_random_parts() {
        let random = |seed: u64| Clock::seeded(seed).new_id().as_bytes()[6..].to_vec();
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
        assert_ne!(Clock::system().new_id().as_bytes()[6..], Clock::system().new_id().as_bytes()[6..]);
    }
}
