//! Time: the only place that asks the machine what time it is.
//!
//! A [`Clock`] can be moved forward, by tests and by the development rpc `AdvanceTime`; everything that waits for a moment
//! waits through it, so that a 30-minute timeout can be tried in milliseconds. A [`Time`] has microseconds, the precision
//! that both databases keep.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// A moment: microseconds since 1970-01-01 UTC. Stored as a 64-bit integer in both databases.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    sea_orm::DeriveValueType,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// This moment moved later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment moved earlier.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As protobuf writes it.
    pub fn to_proto(self) -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: self.0.div_euclid(1_000_000),
            nanos: i32::try_from(self.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
        }
    }

    /// From what protobuf wrote, cut to microseconds.
    pub fn from_proto(time: &prost_types::Timestamp) -> Self {
        Self(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000))
    }

    /// For calendars and zones.
    pub fn to_utc(self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

/// A clock that can be moved forward. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    offset: watch::Sender<Duration>,
    file: Mutex<Option<PathBuf>>,
    /// So many microseconds this clock is wrong, for tests of who trusts it.
    skew: i64,
}

/// Another process's move is seen so soon.
pub const FOLLOWED_WITHIN: Duration = Duration::from_millis(60);

impl Clock {
    /// The machine's time.
    pub fn system() -> Self {
        Self(Arc::new(Inner { offset: watch::Sender::new(Duration::ZERO), file: Mutex::new(None), skew: 0 }))
    }

    /// The machine's time moved forward by what the file holds (nothing, if there is none), and kept there as it moves:
    /// a restart never turns time back.
    pub fn persisted(file: &Path) -> std::io::Result<Self> {
        Self::wrong_by(file, 0)
    }

    /// The same, wrong by so many microseconds, as the clock of a machine may be.
    pub fn wrong_by(file: &Path, skew: i64) -> std::io::Result<Self> {
        let offset = watch::Sender::new(read(file)?);
        Ok(Self(Arc::new(Inner { offset, file: Mutex::new(Some(file.to_owned())), skew })))
    }

    /// Follows the moves that other processes with the same file make, for as long as it is polled.
    pub async fn follow(&self) {
        loop {
            let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(moved) = file.and_then(|file| read(&file).ok()) else { return };
            self.0.offset.send_if_modified(|offset| {
                let later = moved > *offset;
                *offset = moved.max(*offset);
                later
            });
            tokio::time::sleep(FOLLOWED_WITHIN / 3).await;
        }
    }

    /// What the clock shows.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Time {
        Time(chrono::Utc::now().timestamp_micros() + self.0.skew).plus(self.offset())
    }

    /// How far the clock was moved.
    pub fn offset(&self) -> Duration {
        *self.0.offset.borrow()
    }

    /// Moves the clock forward and wakes whoever waits for a moment.
    pub fn advance(&self, by: Duration) -> std::io::Result<Time> {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offset = self.offset() + by;
        if let Some(file) = file.as_deref() {
            // Another process may move it at the same moment: neither move is lost.
            let one_at_a_time = fs::File::create(file.with_extension("lock"))?;
            one_at_a_time.lock()?;
            offset = self.offset().max(read(file)?) + by;
            // Written beside and renamed: a kill in between leaves the old or the new number, never half of one.
            let beside = file.with_extension("new");
            let mut new = fs::File::create(&beside)?;
            write!(new, "{}", offset.as_micros())?;
            new.sync_all()?;
            fs::rename(&beside, file)?;
        }
        self.0.offset.send_replace(offset);
        Ok(self.now())
    }

    /// Waits until the clock shows `moment` or later.
    pub async fn sleep_until(&self, moment: Time) {
        let mut moved = self.0.offset.subscribe();
        loop {
            let wait = moment.since(self.now());
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Waits so long, less what this clock is moved forward meanwhile; a machine whose clock is set does not notice.
    pub async fn sleep(&self, time: Duration) {
        let mut moved = self.0.offset.subscribe();
        let (began, offset) = (tokio::time::Instant::now(), self.offset());
        loop {
            let wait = time.saturating_sub(began.elapsed()).saturating_sub(self.offset().saturating_sub(offset));
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

/// How far the file says that the clock was moved; not at all, if there is none.
fn read(file: &Path) -> std::io::Result<Duration> {
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map(Duration::from_micros).map_err(|_| {
            std::io::Error::other(format!("{} must hold a number of microseconds; delete it", file.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Duration::ZERO),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_who_waits() {
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

    #[test]
    fn proto_round_trip_keeps_microseconds_also_before_1970() {
        for micros in [0, 1, 1_700_000_000_123_456, -1, -1_000_001] {
            assert_eq!(Time::from_proto(&Time(micros).to_proto()).0, micros);
        }
    }
}
