//! Resident memory of a process, and its peak while something is done.

use std::{pin::pin, time::Duration};

/// Interval between two looks at the memory.
const INTERVAL: Duration = Duration::from_millis(10);

/// Resident memory of a process in KiB.
pub fn resident_kib(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Does the work. Returns the largest resident memory of the process meanwhile, in KiB, and the result.
pub async fn peak_kib<T>(pid: i32, work: impl Future<Output = T>) -> (f64, T) {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut peak = 0.0_f64;
    loop {
        tokio::select! {
            result = &mut work => return (peak.max(resident_kib(pid)), result),
            _ = ticks.tick() => peak = peak.max(resident_kib(pid)),
        }
    }
}
