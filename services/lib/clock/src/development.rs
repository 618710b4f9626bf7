//! Development only: a clock whose offset lies in a file of the data folder. A restart does not turn time back, and the
//! other processes on the same folder follow ([`follow`]).

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
    sync::PoisonError,
    time::Duration,
};

use crate::{Clock, id::IdGenerator};

/// Longest time until another process has followed a move of the clock.
pub const FOLLOW_DELAY: Duration = Duration::from_millis(60);

/// Interval between two looks at the file.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The machine's time moved forward by the offset in `file`, or not moved when there is no such file.
/// [`Clock::advance`] writes the new offset to the file.
pub fn clock_from_file(file: &Path) -> io::Result<Clock> {
    skewed_clock_from_file(file, 0)
}

/// The same, wrong by `skew` microseconds, as the clock of a machine may be.
pub fn skewed_clock_from_file(file: &Path, skew: i64) -> io::Result<Clock> {
    let file = OffsetFile { path: file.to_owned(), write: Mutex::default() };
    Ok(Clock::new(IdGenerator::from_os(), file.read()?, skew, Some(file)))
}

/// Follows the moves that other processes write to the file of this clock. Ends when the clock has no file or the file
/// cannot be read.
pub async fn follow(clock: &Clock) {
    while let Some(offset) = clock.0.file.as_ref().and_then(|file| file.read().ok()) {
        clock.raise_offset(offset);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The file that holds the offset, as a number of microseconds.
pub(crate) struct OffsetFile {
    path: PathBuf,
    write: Mutex<()>,
}

impl OffsetFile {
    /// Adds `by` to the larger of `offset` and the offset in the file, and returns the sum.
    pub(crate) fn advance(&self, by: Duration, offset: Duration) -> io::Result<Duration> {
        let _this_process = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may move the clock at the same moment: neither move is lost.
        let other_processes = fs::File::create(self.path.with_extension("lock"))?;
        other_processes.lock()?;
        let moved = offset.max(self.read()?) + by;
        // Written to another file and renamed: a kill in between leaves the old or the new number, never half of one.
        let new_path = self.path.with_extension("new");
        let mut new = fs::File::create(&new_path)?;
        write!(new, "{}", moved.as_micros())?;
        new.sync_all()?;
        fs::rename(&new_path, &self.path)?;
        Ok(moved)
    }

    /// The offset in the file; zero when there is no file.
    fn read(&self) -> io::Result<Duration> {
        match fs::read_to_string(&self.path) {
            Ok(text) => text.trim().parse().map(Duration::from_micros).map_err(|_| {
                io::Error::other(format!("{} must hold a number of microseconds; delete it", self.path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Duration::ZERO),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_move_survives_a_restart_and_other_processes_follow_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock-offset");
        let (first, second) = (clock_from_file(&path).unwrap(), clock_from_file(&path).unwrap());
        let following = tokio::spawn({
            let second = second.clone();
            async move { follow(&second).await }
        });
        let hour = Duration::from_secs(3600);
        first.advance(hour).unwrap();
        second.sleep_until(first.now()).await;
        assert_eq!(second.offset(), hour);
        second.advance(hour).unwrap();
        assert_eq!(clock_from_file(&path).unwrap().offset(), 2 * hour, "after a restart");
        following.abort();
    }

    #[test]
    fn a_file_that_holds_no_number_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock-offset");
        fs::write(&path, "soon").unwrap();
        assert!(clock_from_file(&path).err().unwrap().to_string().contains("delete it"));
    }
}
