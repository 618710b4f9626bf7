//! What else uses the processors during a measurement: the load average, and the processor time of processes that this program
//! did not start.

use std::{collections::HashMap, fs, time::Instant};

/// Number of processes that are named.
const NAMED: usize = 3;
/// Clock ticks per second of the times in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// The load averages of the last 1, 5 and 15 minutes.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Processor time of every process at one moment.
pub struct ProcessorTimes {
    at: Instant,
    processes: HashMap<u32, Process>,
}

struct Process {
    name: String,
    parent: u32,
    ticks: u64,
}

impl ProcessorTimes {
    /// Reads the times of all processes.
    pub fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self { at: Instant::now(), processes: ids.filter_map(|id| Some((id, Process::read(id)?))).collect() }
    }

    /// The processor time that processes which are not descendants of this one used since an earlier moment, as text.
    pub fn others_since(&self, earlier: &Self) -> String {
        let mut ticks_by_name: HashMap<&str, u64> = HashMap::new();
        for (id, process) in self.processes.iter().filter(|(id, _)| !self.is_own(**id)) {
            let before = earlier.processes.get(id).filter(|before| before.name == process.name);
            let ticks = process.ticks.saturating_sub(before.map_or(0, |before| before.ticks));
            *ticks_by_name.entry(&process.name).or_default() += ticks;
        }
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        let share = |ticks: u64| ticks as f64 / TICKS_PER_SECOND / seconds * 100.0;
        let total: u64 = ticks_by_name.values().sum();
        let mut by_ticks: Vec<(&str, u64)> = ticks_by_name.into_iter().collect();
        by_ticks.sort_by_key(|(_, ticks)| std::cmp::Reverse(*ticks));
        let named = by_ticks.iter().take(NAMED).filter(|(_, ticks)| share(*ticks) >= 1.0);
        let named: Vec<String> = named.map(|(name, ticks)| format!("{name} {:.0} %", share(*ticks))).collect();
        let names = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
        format!("{:.0} % of one processor{names}", share(total))
    }

    fn is_own(&self, mut id: u32) -> bool {
        while let Some(process) = self.processes.get(&id) {
            if id == std::process::id() {
                return true;
            }
            id = process.parent;
        }
        false
    }
}

impl Process {
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field is the name in brackets, which may contain spaces.
        let (begin, rest) = stat.rsplit_once(") ")?;
        let name = begin.split_once(" (")?.1.to_owned();
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self { name, parent: fields.get(1)?.parse().ok()?, ticks })
    }
}
